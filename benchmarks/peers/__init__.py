"""Other recognisers, driven from outside with the same weights, audio and pacing: adapters only, no code of theirs.

Each module is a program: `python -m benchmarks.peers.NAME FILE --model DIR --language en` writes events to stdout.
"""
