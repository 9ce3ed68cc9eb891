"""Speech without a picture: synthetic voices that say what GRID's 51 words do not, and a voice whose face was measured.

    python training/spoken.py --out SPEECH [--facegood FOLDER]

Writes SPEECH/<voice>_<n>.npz: `sound` at 16 kHz, `phones` (phones.py), and
    closures  float32 [n, 3]   of each p, b, m, f and v: begin and end of its hold in seconds, how far the lips may open in it (share)
    vowels    float32 [n, 3]   of each rounded or spread vowel: begin and end in seconds, its place in teacher.WIDTHS
    faces     float32 [T, F]   FACES at 30 a second, of FACEGOOD's takes alone

flite and espeak-ng tell when each phoneme begins and ends. What the mouth does between closures says teacher.py; in p, b and m the
lips are made to meet, in f and v to come near the teeth, in u and o to narrow and in i and e to spread. So training learns these,
other voices and other words.

Kept for measuring: kal16 of flite; of espeak-ng the plain voices that languages.py has speak, all of Polish and Mandarin.
"""

import argparse
import pathlib
import re
import subprocess
import tempfile

import numpy as np

import languages
import mel
import phones
import prepare
from teacher import WIDTHS

#: Voices of flite 2.2.
VOICES = ("slt", "rms", "awb")
#: Voices of espeak-ng 1.51, with variants of their timbre and pitch, by language.
FOREIGN = {
    "en": """en+m1 en+m3 en+m5 en+m7 en+f1 en+f2 en+f4 en+croak en-us+f3 en-us+m4 en-us+m2 en-gb-scotland+m1 en-gb-scotland+f2
        en-gb-x-rp+m6 en-gb-x-rp+f5 en-029+m2 en-029+f1""",
    "de": "de+m1 de+f2 de+m4",
    "fr": "fr+m2 fr+f1 fr+m5",
    "es": "es+m3 es+f4 es+m1",
    "it": "it it+f2 it+m4",
    "pt": "pt+m2 pt+f3 pt-br+m5",
    "nl": "nl+m1 nl+f4 nl+m6",
}  # fmt: skip
#: The part of a phoneme in which the lips are shut or on the teeth, and how far they may then open, as a share: p and b open with a
#: burst before their end.
HOLD = {"p": (0.0, 0.65, 0.0), "b": (0.0, 0.65, 0.0), "m": (0.1, 0.9, 0.0), "f": (0.1, 0.9, 0.35), "v": (0.1, 0.9, 0.35)}
#: Vowels as flite names them; diphthongs by how they begin. The rest are neither rounded nor spread.
FLITE_VOWELS = {"uw": "u", "uh": "u", "ow": "o", "ao": "o", "oy": "o", "iy": "i", "ih": "i", "ey": "i"}
#: Of FACEGOOD's channels those that move with speech.
FACES = ("mouth_stretch_c", "mouth_oh_c", "mouth_pucker_l", "mouth_funnel_dl", "mouth_funnel_ul", "mouth_lowerLipDepress_l", "mouth_upperLipRaise_l", "mouth_press_l")  # fmt: skip
FACES_RATE = 30
WORDS = """
a the my your his our some many more most every any both same other another people baby brother mother member number summer winter
maybe always never often simply probably become begin bring build buy carry climb compare complete drop empty finish give
help hope jump keep leave love make move open pay perform play prepare prove pump remember repeat replace report save speak
stop swim tempt think travel trouble wash watch work write and but because before above below beyond by for from of on over
through to up upon with about black brown blue big small amber purple important impossible simple purely happy warm tiny
apple balloon beach bell bird bomb book bottle boy bubble butter cabin camera camp cap chamber chimney club comb copper cup
dream drum farm film flame game gap garden hammer harbour home image island jam job lamp letter map market mob moment money
moon month mouth museum name night paper parliament pepper piano picture pipe pepper plum pocket poem police pop problem
program pub rabbit ribbon river robe rope room sample shape sheep ship shop soap steam storm stream table tempo tube umbrella
village volume web weather whip window wolf zebra five seven thousand million him them some time came from them ham
""".split()  # fmt: skip
FOREIGN_WORDS = {
    "en": WORDS,
    "de": """
aber immer Baum Mutter Bruder Abend Bild haben Boot Bahn beim bin Blume Brot Buch Papier Platz Problem Person prima Park Preis
Programm Apfel Kopf Suppe Treppe Lippe Mann Milch Musik morgen Mond Name Nummer kommen nehmen warm am um im vom zum dem mit oben
lieben geben schreiben Farbe Arbeit Obst gelb halb ob die der das ein und ist nicht wir sie Wasser Haus Tag Nacht gut schön
""".split(),
    "fr": """
maman papa pomme pain petit poisson pont porte bonjour bateau beau bien bois boire table robe jambe arbre homme femme matin maison
main mer monde mot aimer comme même temps ami chambre nombre simple couple peuple trop après avec dans sur sous la le les un une
et pas nous vous grand jour nuit ville eau soleil parler tomber
""".split(),
    "es": """
mamá papá pan poco pueblo puerta perro plato primero bien bueno barco boca blanco árbol cabeza hombre hambre siempre tiempo campo
mano mesa mundo amigo comer tomar cama semana hombro nombre también sobre problema importante el la los un una y no con para por
casa agua día noche hablar escribir saber lobo
""".split(),
    "it": """
mamma papà pane poco ponte porta prima bene bello bambino bocca barca bianco albero sempre tempo campo mano mondo amico amore
settimana nome uomo tempo ombra gamba problema importante il la un una e non con per casa acqua giorno notte parlare abbiamo
subito libro sabato
""".split(),
    "pt": """
mamãe papai pão pouco povo porta primeiro bem bom barco boca branco árvore cabeça homem fome sempre tempo campo mão mesa mundo amigo
comer tomar cama semana nome também sobre problema importante o a os um uma e não com para por casa água dia noite falar uva vivo
fumo favor lua fruta azul livro
""".split(),
    "nl": """
mama papa boom broer moeder vader morgen avond beeld boot baan bloem brood boek papier plaats probleem persoon park prijs appel kop
soep lip man melk muziek maan naam nummer komen nemen warm om hem met boven lief geven schrijven verf werk half vijf vier veel de het
een en is niet wij ze water huis dag nacht goed mooi vuur voet zeven
""".split(),
}  # fmt: skip


def sentence(random, words=WORDS):
    return " ".join(random.choice(words, random.integers(5, 9)))


def speak(voice, text):
    """Samples at 16 kHz and the phonemes, each with its begin and end in seconds."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", file.name]
        told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        samples = prepare.read_sound(file.name)
    phonemes, begin = [], 0.0
    for name, end in re.findall(r"([a-z]+):([0-9.]+)", told):
        phonemes.append((name, begin, float(end)))
        begin = float(end)
    return samples, phonemes


def speak_foreign(speaker, voice, text):
    """The same by espeak-ng, of p, b, m, f, v and of vowels that are rounded or spread."""
    told_samples, told = speaker.say(voice, text)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        languages.write(file.name, speaker.rate, told_samples)
        samples = prepare.read_sound(file.name)
    phonemes = []
    for (name, begin), (_, end) in zip(told, told[1:]):
        if languages.kind(name) in ("shut", "teeth"):
            hold = speaker.hold(told_samples, begin) if name.startswith("p") else 0.0
            if hold:  # its begin is the burst: the lips are shut just before
                closed = HOLD["p"][1]
                begin, end = begin - hold, begin + hold * (1 / closed - 1)
            phonemes.append((name[0], begin, end))
        elif vowel := languages.vowel(name):
            phonemes.append((vowel, begin, end))
    return samples, phonemes


def closures(phonemes):
    """Begin and end of each hold, and how far the lips may open in it: [n, 3]."""
    holds = [(b + HOLD[n][0] * (e - b), b + HOLD[n][1] * (e - b), HOLD[n][2]) for n, b, e in phonemes if n in HOLD]
    return np.array(holds, np.float32).reshape(-1, 3)


def vowels(phonemes):
    """Begin, end and kind of each rounded or spread vowel: [n, 3]."""
    kinds = list(WIDTHS)
    named = ((FLITE_VOWELS.get(n, n), b, e) for n, b, e in phonemes)
    return np.array([(b, e, kinds.index(n)) for n, b, e in named if n in kinds], np.float32).reshape(-1, 3)


def sentences(each, seed=0):
    """`each` of every voice of flite and of every language of espeak-ng: (voice, (samples, phonemes))."""
    random = np.random.default_rng(seed)
    for voice in VOICES:
        for _ in range(each):
            yield voice, speak(voice, sentence(random))
    speaker = languages.Speaker()
    for language, known in FOREIGN.items():
        known = known.split()
        for i in range(each):
            yield language, speak_foreign(speaker, known[i % len(known)], sentence(random, FOREIGN_WORDS[language]))


def takes(folder, seconds=6):
    """FACEGOOD's takes in pieces: (samples, faces)."""
    for path in sorted(folder.glob("*.flac")):
        sound = prepare.read_sound(path)
        with np.load(path.with_suffix(".npz")) as z:
            names, faces = list(z["names"]), z["values"]
        faces = np.stack([faces[:, names.index(n)] if n in names else np.zeros(len(faces)) for n in FACES], 1).astype(np.float32)
        for start in range(0, len(faces) - FACES_RATE * seconds, FACES_RATE * seconds):
            first = start * mel.SAMPLE_RATE // FACES_RATE
            yield sound[first : first + seconds * mel.SAMPLE_RATE], faces[start : start + FACES_RATE * seconds]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--each", type=int, default=70, help="sentences of each voice of flite and of each language of espeak-ng")
    parser.add_argument("--facegood", type=pathlib.Path, help="folder of FACEGOOD's takes: <take>.flac and <take>.npz")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    recogniser = phones.Recogniser()

    def write(voice, number, sound, **more):
        sound = (0.5 * sound).astype(np.float32)
        np.savez(arguments.out / f"{voice}_{number:03}.npz", sound=sound, phones=recogniser.hear(sound), **more)

    for number, (voice, (sound, phonemes)) in enumerate(sentences(arguments.each)):
        write(voice, number, sound, closures=closures(phonemes), vowels=vowels(phonemes))
    if arguments.facegood:
        for number, (sound, faces) in enumerate(takes(arguments.facegood)):
            write("facegood", number, sound, closures=closures([]), vowels=vowels([]), faces=faces)


if __name__ == "__main__":
    main()
