"""What an author should know and do: a program on other systems, option sets that reach a goal, and misuse."""
