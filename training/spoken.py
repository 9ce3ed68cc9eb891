"""Clips without a picture: synthetic voices that say what GRID's 51 words do not, and when their lips are shut.

flite and espeak-ng tell when each phoneme begins and ends. What the mouth does between closures is taken from a network
trained on pictures, hearing the clean voice; in p, b and m the lips are made to meet. So training learns closures, other
voices and other words, and loses nothing else.

Kept for measuring: kal16 of flite; of espeak-ng the plain voices that languages.py has speak, all of Polish and Mandarin.
"""

import re
import subprocess
import tempfile

import numpy as np
import torch

import audio2mouth
import geometry
import languages
import mel
import prepare

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
}  # fmt: skip
FPS = 50
#: Lips close and open in about this time, in seconds.
RAMP = 0.055
#: The part of a phoneme in which the lips touch: p and b open with a burst before their end.
SHUT = {"p": (0.0, 0.65), "b": (0.0, 0.65), "m": (0.1, 0.9)}
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
    """The same by espeak-ng, of p, b and m alone."""
    told_samples, told = speaker.say(voice, text)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        languages.write(file.name, speaker.rate, told_samples)
        samples = prepare.read_sound(file.name)
    phonemes = []
    for (name, begin), (_, end) in zip(told, told[1:]):
        if languages.kind(name) == "shut":
            hold = speaker.hold(told_samples, begin) if name.startswith("p") else 0.0
            if hold:  # its begin is the burst: the lips are shut just before
                closed = SHUT["p"][1]
                begin, end = begin - hold, begin + hold * (1 / closed - 1)
            phonemes.append((name[0], begin, end))
    return samples, phonemes


def open_share(phonemes, t):
    """How far the lips may open at times t: 0 in a closure, 1 away from all of them."""
    share = np.ones(len(t))
    for name, begin, end in phonemes:
        if name in SHUT:
            first, last = (begin + f * (end - begin) for f in SHUT[name])
            away = np.maximum(0, np.maximum(first - t, t - last)) / RAMP
            share = np.minimum(share, np.clip(away, 0, 1) ** 1.5)
    return share


class Voice(audio2mouth.Clip):
    """A sentence of a synthetic voice, with the mouth that `network` hears and the closures that the phonemes tell."""

    @torch.no_grad()
    def __init__(self, person, spoken, network):
        self.sound, phonemes = spoken
        self.sound = self.sound * 0.5
        self.mel, self.fps = mel.melspectrogram(self.sound), FPS
        self.name = self.person = person
        t = np.arange(int(len(self.sound) / mel.SAMPLE_RATE * FPS)) / FPS
        codes = network.codes(torch.from_numpy(audio2mouth.windows(self.mel, t))[:, None])
        moved = (codes @ network.decoder.basis).view(-1, geometry.COUNT, 2).numpy()
        shut = np.maximum(geometry.gaps(moved), 0) * (1 - open_share(phonemes, t))[:, None]
        moved[..., 1] += geometry.CLOSE_WEIGHT * shut[:, geometry.CLOSE_PAIR]
        self.raw = self.shape = moved.astype(np.float32)
        self.settle()


def voices(network, each, seed=0):
    """Sentences with the mouths of `network`: `each` of every voice of flite, and of every language of espeak-ng."""
    random = np.random.default_rng(seed)
    network.eval()
    made = [Voice(f"synthetic {v}", speak(v, sentence(random)), network) for v in VOICES for _ in range(each)]
    speaker = languages.Speaker()
    for language, known in FOREIGN.items():
        known = known.split()
        for i in range(each):
            said = speak_foreign(speaker, known[i % len(known)], sentence(random, FOREIGN_WORDS[language]))
            made.append(Voice(f"synthetic {language}", said, network))
    network.train()
    return made
