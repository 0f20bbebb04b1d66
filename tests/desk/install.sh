#!/bin/sh
# What the tests of the desk need beside the lock: a sound server, PortAudio with its way to it, and a terminal to record.
set -e
missing=""
command -v pulseaudio >/dev/null || missing="$missing pulseaudio"
command -v pactl >/dev/null || missing="$missing pulseaudio-utils"
command -v tmux >/dev/null || missing="$missing tmux"
for library in libportaudio.so.2:libportaudio2 libpulse.so.0:libpulse0; do
  ldconfig -p | grep -q "${library%%:*}" || missing="$missing ${library##*:}"
done
find /usr/lib -name libasound_module_pcm_pulse.so 2>/dev/null | grep -q . || missing="$missing libasound2-plugins"
[ -z "$missing" ] && exit 0
root=""
[ "$(id -u)" = 0 ] || root=sudo
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -q
# shellcheck disable=SC2086
$root apt-get install -qy --no-install-recommends $missing
