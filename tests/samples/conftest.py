"""The samples are projects of their own: test_samples.py copies each to an empty folder and runs it there."""

collect_ignore_glob = ["*/*"]
