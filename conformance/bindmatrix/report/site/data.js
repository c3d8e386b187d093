// The data of the page, as explorer_data.py wrote it.
async function readData(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  data.systems.forEach((system, index) => {
    system.column = new Uint16Array(buffer.slice(4 + length + index * data.count * 2, 4 + length + (index + 1) * data.count * 2));
    system.bands = system.bands.map((row) => Object.fromEntries(data.band.map((name, at) => [name, data.strings[row[at]]])));
  });
  data.byOs = Object.fromEntries(data.systems.map((system) => [system.os, system]));
  return data;
}

// The bands that a system answers question number `question` with, the newest releases first.
function bandsOf(system, question) {
  return system.answers[system.column[question]].map((index) => system.bands[index]);
}
