"""What ``import bindmatrix`` offers: each name is imported when it is first used, so the import itself is cheap."""
