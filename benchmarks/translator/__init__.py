"""Whether a translator translates and does nothing else, and keeps to a glossary: `tsuyaku bench translator`."""
