"""What real programs do with sockets, as scenarios: traces, running processes, and the catalogue of runtimes."""
