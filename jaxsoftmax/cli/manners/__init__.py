"""How the command line behaves towards people: its options, its examples, what a shell completes."""
