"""The stages of a session. Each wires plain classes, which decide, to channels, engines and events."""
