"""Speaks a text, one sentence per line, into TARGET/talk.wav (16 kHz mono) with TARGET/talk.json telling when.

    python3 scripts/talk.py TEXT TARGET
"""

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

RATE_HZ = 16_000
# Longer than the recogniser's wait before it settles a segment, so that every sentence is a segment of its own.
PAUSE_S = 0.8
VOICE = "rms"


def speak(sentence, path):
    """One sentence as 16-bit samples, with the voice's own leading and trailing silence removed."""
    subprocess.run(["flite", "-voice", VOICE, "-t", sentence, "-o", str(path)], check=True, timeout=60)
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE_HZ, 1, 2):
            sys.exit(f"talk: the voice '{VOICE}' was to give {RATE_HZ} Hz mono of 16 bits")
        return trimmed(sound.readframes(sound.getnframes()))


def trimmed(data):
    """Cuts what is quieter than 1 % of full scale off both ends, so that the written times are those of the speech."""
    loud = [i for i in range(0, len(data) - 1, 2) if abs(int.from_bytes(data[i : i + 2], "little", signed=True)) > 327]
    return data[loud[0] : loud[-1] + 2] if loud else b""


def main():
    text, target = Path(sys.argv[1]), Path(sys.argv[2])
    sentences = [line.strip() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    pause = bytes(2 * int(PAUSE_S * RATE_HZ))
    sound, marks = bytearray(pause), []
    with tempfile.TemporaryDirectory() as scratch:
        for sentence in sentences:
            start = len(sound) // 2
            sound += speak(sentence, Path(scratch) / "sentence.wav")
            end = len(sound) // 2
            sound += pause
            marks.append({"text": sentence, "start_us": start * 1_000_000 // RATE_HZ, "end_us": end * 1_000_000 // RATE_HZ})
    target.mkdir(parents=True, exist_ok=True)
    with wave.open(str(target / "talk.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(bytes(sound))
    (target / "talk.json").write_text(json.dumps({"rate_hz": RATE_HZ, "sentences": marks}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
