"""Drills: one fault each, under load. `./dev drill --list`; how to add one: CONTRIBUTING.md."""
