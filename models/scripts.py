"""What scripts have in common, as far as text is cut into pieces."""

from __future__ import annotations

import re

UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""a character of a script that writes no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han"""
