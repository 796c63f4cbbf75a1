#!/bin/sh
# Makes the clips of the built-in bot `ivr` and the starter clips of flows, and the music of their queues:
# crates/gateway/assets/{ivr,flow}/*.ulaw, µ-law at 8 kHz without a header.
#
#     scripts/voices.sh            needs espeak-ng and sox (Debian: apt-get install espeak-ng sox)
#
# The results are kept in the repository; this script says where they came from.
set -eu
cd "$(dirname "$0")/../crates/gateway/assets"

say() {
    espeak-ng -v en-gb -s 165 -p 40 --stdout "$2" |
        sox -t wav - -t ul -r 8000 -c 1 "$1.ulaw" silence 1 0.01 0.1% norm -4 lowpass 3400 pad 0.05 0.1
}

# Four chords, plucked one note after the other, three seconds each; it begins where it ends.
music() {
    notes=""
    for chord in "C4 E4 G4 C5 G4 E4" "A3 C4 E4 A4 E4 C4" "F3 A3 C4 F4 C4 A3" "G3 B3 D4 G4 D4 B3"; do
        for note in $chord; do
            sox -n -r 8000 -c 1 "$scratch/$note.wav" synth 0.5 pluck "$note" fade 0.004 0.5 0.06
            notes="$notes $scratch/$note.wav"
        done
    done
    # shellcheck disable=SC2086
    sox $notes -t ul -r 8000 -c 1 flow/music.ulaw norm -12 lowpass 2600
}

say ivr/menu "Press one for the echo. Two for the parrot. Three for a tone. Star, to hear this again."
say ivr/choose "Please press a key."
say ivr/unavailable "That is not available."
say ivr/goodbye "Goodbye."

say flow/welcome "Welcome. Press one to talk to somebody, or two to leave a message."
say flow/invalid "Sorry, that was not one of the choices."
say flow/number "Please key in your number, and end with the hash key."
say flow/closed "We are closed at the moment. Please call again during our opening hours."
say flow/queue "All our lines are busy. Please stay on the line: your call will be taken in turn."
say flow/voicemail "Please leave a message after the tone, and press hash when you have finished."
say flow/thanks "Thank you. Your message has been kept."
say flow/place "You are number"
for number in one two three four five six seven eight nine; do say "flow/$number" "$number"; done
say flow/later "You are in the queue."

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
music
wc -c ./*/*.ulaw
