"""Two people at one desk: devices, echo, turns and the screen of `tsuyaku interpret`.

Sound runs on one thread of its own (`loop`), everything else in asyncio (`conversation`);
`screen` and `lines` only show.
"""
