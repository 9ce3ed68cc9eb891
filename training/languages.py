"""Sentences in other languages, by espeak-ng, and when lips must be shut or on the teeth in them.

    python training/languages.py FOLDER

Writes FOLDER/<language>.wav and FOLDER/<language>.tsv for `cargo xtask eval`: a line a phoneme, with `shut` (p b m),
`teeth` (f v), `wide` (open vowels), `round` (u o y and their like) or `spread` (i e), its begin and its end in seconds. Needs libespeak-ng and nothing else: no package of
Python's.
"""

import array
import ctypes
import pathlib
import sys
import wave

#: A voice of espeak-ng and what it says. The last two are never trained on, nor are these plain voices of the others (spoken.py).
SENTENCES = {
    "en": "Maybe five people from Boston have a map of the farm. My puppy never bit a famous baby. Who knew the truth?",
    "de": "Mein Bruder baut am Abend fünf Boote. Viele Familien waschen Pflaumen und Äpfel im Bad.",
    "fr": "Papa achète beaucoup de pommes. Ma femme va boire un verre de vin blanc avec un ami.",
    "es": "Mi madre compra pan para una familia. Fuimos a ver un mapa enfermo de papá en febrero.",
    "it": "Il mio bambino beve poca acqua. Un uomo vive con molti buoi; forse venerdì fu più freddo e buio.",
    "pt": "Minha mãe comprou pão e uvas para a família. O povo vive bem, mas o fumo é um problema.",
    "pl": "Mama kupiła białe buty. Potem fryzjer widział w filmie bardzo wesołą babcię.",
    "cmn-latn-pinyin": "ba4ba ma1ma mai3 ping2guo3. fei1 chang2 pa4 feng1, ming2tian1 bu4 fang4 mian4bao1.",
}
#: In the International Phonetic Alphabet, as espeak-ng names phonemes; what follows (length, breath, palate) does not matter.
KINDS = {"p": "shut", "b": "shut", "m": "shut", "f": "teeth", "v": "teeth"}
WIDE = ("a", "ɑ", "æ", "ɐ", "ɒ")
ROUND = ("u", "ʊ", "o", "y", "ʏ", "ø", "œ")
SPREAD = ("i", "ɪ", "e")
#: What rounds or spreads the lips, by its first letter: a diphthong begins so.
VOWELS = {"u": "uʊyʏ", "o": "oøœɔ", "i": "iɪe"}
#: Without a voice a stop is silence, then a burst, which is where espeak-ng says that it begins.
LONGEST_HOLD = 0.08
QUIET = 16

# speak_lib.h of espeak-ng 1.51.
OUTPUT_SYNCHRONOUS = 2
PHONEME_EVENTS, PHONEME_IPA = 1, 2
CHARS_UTF8 = 1
EVENT_END, EVENT_PHONEME = 0, 7


class Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("type", "unique", "text_position", "length", "milliseconds", "sample")),
        ("user_data", ctypes.c_void_p),
        ("id", Identity),
    ]  # fmt: skip


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Speaker:
    def __init__(self):
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.library.espeak_Initialize(OUTPUT_SYNCHRONOUS, 0, None, PHONEME_EVENTS | PHONEME_IPA)
        if self.rate <= 0:
            sys.exit("espeak-ng does not start: are its data (espeak-ng-data) installed?")
        self.samples, self.phonemes = array.array("h"), []
        self.callback = CALLBACK(self.heard)
        self.library.espeak_SetSynthCallback(self.callback)

    def heard(self, samples, count, events):
        if samples:
            self.samples.extend(samples[:count])
        at = 0
        while events[at].type != EVENT_END:
            if events[at].type == EVENT_PHONEME:
                name = events[at].id.string.decode(errors="ignore")
                self.phonemes.append((name, events[at].milliseconds / 1000))
            at += 1
        return 0

    def say(self, voice, text):
        """Samples, and the phonemes with their begins in seconds; the last has no sound."""
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            sys.exit(f"espeak-ng has no voice {voice}")
        self.samples, self.phonemes = array.array("h"), []
        said = text.encode()
        self.library.espeak_Synth(said, len(said) + 1, 0, 1, 0, CHARS_UTF8, None, None)
        self.library.espeak_Synchronize()
        return self.samples, self.phonemes

    def hold(self, samples, begin):
        """Seconds of silence just before the burst of a stop."""
        end = int(begin * self.rate)
        first = max(0, end - int(LONGEST_HOLD * self.rate))
        loud = [i for i in range(first, end) if abs(samples[i]) > QUIET]
        return (end - (loud[-1] + 1 if loud else first)) / self.rate


def kind(name):
    vowels = {"wide": WIDE, "round": ROUND, "spread": SPREAD}
    return KINDS.get(name[:1]) or next((shape for shape, names in vowels.items() if name.startswith(names)), None)


def vowel(name):
    """The vowel of VOWELS that this phoneme is like, or None."""
    return next((like for like, firsts in VOWELS.items() if name[:1] and name[:1] in firsts), None)


def write(path, rate, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    speaker = Speaker()
    for voice, text in SENTENCES.items():
        samples, phonemes = speaker.say(voice, text)
        write(folder / f"{voice}.wav", speaker.rate, samples)
        held = [speaker.hold(samples, begin) if name.startswith("p") else 0.0 for name, begin in phonemes]
        begins = [begin - hold for (_, begin), hold in zip(phonemes, held)]
        lines = []
        for i, (name, burst) in enumerate(phonemes[:-1]):
            if kind(name):
                # The burst opens the lips.
                end = burst if held[i] else begins[i + 1]
                lines.append(f"{kind(name)}\t{begins[i]:.3f}\t{end:.3f}\n")
        (folder / f"{voice}.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
