#!/bin/sh
# Makes the clips of the built-in bot `ivr`: crates/gateway/assets/ivr/*.ulaw, µ-law at 8 kHz without a header.
#
#     scripts/voices.sh            needs espeak-ng and sox (Debian: apt-get install espeak-ng sox)
#
# The results are kept in the repository; this script says where they came from.
set -eu
cd "$(dirname "$0")/../crates/gateway/assets/ivr"

say() {
    espeak-ng -v en-gb -s 165 -p 40 --stdout "$2" |
        sox -t wav - -t ul -r 8000 -c 1 "$1.ulaw" silence 1 0.01 0.1% norm -4 lowpass 3400 pad 0.05 0.1
}

say menu "Press one for the echo. Two for the parrot. Three for a tone. Star, to hear this again."
say choose "Please press a key."
say unavailable "That is not available."
say goodbye "Goodbye."
wc -c ./*.ulaw
