/* libFuzzer over what the C executor reads: lines of input, the notation, JSON, and what it writes of them.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -o fuzz tests/execute/fuzz_executor.c
 *     ./fuzz -max_total_time=60
 *
 * No step is run, so the fuzzer meets no kernel. */

#define main executor_main
#include "../../conformance/bindmatrix/execute/executor.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line of output must be whole: quotes that close, no control character, "outcomes" in it. */
static void check_output(void)
{
    int quoted = 0;

    for (size_t i = 0; i < output.length; i++) {
        unsigned char byte = (unsigned char)output.at[i];
        if (byte == '\\' && quoted)
            i++;
        else if (byte == '"')
            quoted = !quoted;
        else if (byte == '\n' ? quoted : byte < 0x20 || byte >= 0x7F)
            abort();
    }
    if (quoted || (output.length && output.at[output.length - 1] != '\n'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct word line = {(const char *)data, size}, scenario;
    static struct text repaired;

    repaired.length = output.length = 0;
    reserve(&repaired, 1); /* a line is never NULL */
    put_repaired(&repaired, line.at, line.length);
    line = (struct word){repaired.at, repaired.length};
    if (!scenario_of(line, &scenario))
        return 0;
    failure = JUDGED;
    if (parse(scenario)) {
        if (!program.step_count || program.name_count > program.step_count + 1)
            abort();
        for (size_t i = 0; i < program.step_count; i++) {
            union any_address address;
            if (program.steps[i].socket >= program.name_count || program.steps[i].listener >= program.name_count)
                abort();
            if (program.steps[i].place.family)
                to_address(&program.steps[i].place, 10001, &address);
        }
    } else if (!reason.length) {
        abort();
    }
    put_json(&output, scenario.at, scenario.length);
    put_json(&output, reason.at, reason.length);
    put(&output, "\n");
    check_output();
    return 0;
}
