"""The evaluation of docs/protocol.md: tasks, methods, runs, measures and tables."""
