#!/bin/sh
# A PulseAudio server with a room: what is played into `room` is what `mic` hears; `speaker` is fed back into the room.
# Usage: pulse.sh FOLDER [DELAY_MS]. Clients need XDG_RUNTIME_DIR=FOLDER and PULSE_RUNTIME_PATH=FOLDER/pulse.
set -e
folder=$1 delay=${2:-60}
mkdir -p "$folder/pulse"; chmod 700 "$folder" "$folder/pulse"
cat > "$folder/room.pa" <<PA
load-module module-native-protocol-unix auth-anonymous=1
load-module module-null-sink sink_name=room rate=48000 channels=1
load-module module-null-sink sink_name=speaker rate=48000 channels=1
load-module module-remap-source master=room.monitor source_name=mic
load-module module-loopback source=speaker.monitor sink=room latency_msec=$delay
set-default-sink speaker
set-default-source mic
PA
XDG_RUNTIME_DIR=$folder PULSE_RUNTIME_PATH=$folder/pulse exec pulseaudio -n -F "$folder/room.pa" \
  --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-target="file:$folder/log"
