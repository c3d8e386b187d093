"""What the expectation files say, as data: the loader reads YAML, and the rules of one release go to ``oracle``."""
