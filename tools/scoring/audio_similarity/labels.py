"""Things that can be seen and heard: the words by which pictures and sound are compared."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from tools.errors import UserError


class Label(NamedTuple):
    """One thing.

    Attributes:
        seen: What it looks like.
        heard: What it sounds like.
    """

    seen: str
    heard: str

    @property
    def seen_prompt(self) -> str:
        """The text for CLIP."""
        return f"a photo of {self.seen}"

    @property
    def heard_prompt(self) -> str:
        """The text for CLAP."""
        return f"the sound of {self.heard}"


# A line for each: what is seen | what is heard.
_OWN = """
a person talking to the camera | a person speaking
several people talking to each other | people having a conversation
a person giving a speech on a stage | a speech in a large hall
a person singing | a person singing
a choir | a choir singing
people laughing | people laughing
a crying baby | a baby crying
children playing | children shouting and playing
a cheering crowd in a stadium | a large crowd cheering
an applauding audience | applause
a crowd of people in a street | the murmur of a crowd
people running | running footsteps
a person walking | footsteps
a person typing on a keyboard | typing on a computer keyboard
a person eating | chewing and crunching of food
a barking dog | a dog barking
a cat | a cat meowing
a bird singing on a branch | birds chirping
a flock of seagulls | seagulls screeching
chickens | chickens clucking
a rooster | a rooster crowing
ducks on a pond | ducks quacking
an owl | an owl hooting
a cow | a cow mooing
sheep or goats | sheep or goats bleating
a pig | a pig grunting
a horse | a horse neighing and its hooves clopping
a lion or a tiger | a big cat roaring
a frog | frogs croaking
a close-up of an insect | insects buzzing
a cricket in the grass | crickets chirping
bees around a hive | a swarm of bees buzzing
an acoustic guitar being played | an acoustic guitar
an electric guitar being played | an electric guitar with distortion
a bass guitar being played | a bass guitar
a piano being played | a piano
a violin being played | a violin
a cello being played | a cello
a flute being played | a flute
a trumpet being played | a trumpet
a saxophone being played | a saxophone
an accordion being played | an accordion
a harp being played | a harp
an organ in a church | a church organ
drums being played | a drum kit
hand drums being played | hand drums and percussion
an orchestra | an orchestra playing
a rock band on a stage | a rock band playing
a disc jockey at a turntable | electronic dance music
people dancing | dance music with a strong beat
a marching band | a marching band
a ringing church bell | church bells ringing
an alarm clock | an alarm clock ringing
a telephone | a telephone ringing
a car driving on a road | a car driving past
a traffic jam | car horns and traffic noise
a race car | a racing car accelerating
a motorcycle | a motorcycle engine
a truck | a truck engine
a bus | a bus driving
a bicycle | a bicycle being ridden
a tractor | a tractor engine
an ambulance or a police car | an emergency siren
a fire engine | the siren of a fire engine
a train | a train passing on rails
a subway train | a subway train braking
an airplane in the sky | a jet airplane flying over
a propeller plane | the propeller of a small airplane
a helicopter | a helicopter
a motor boat | the engine of a boat
a sailing boat | water lapping against a boat
a ship | a ship's horn
a rocket launch | the roar of a rocket launch
a skateboarder | a skateboard rolling and landing
a person skiing | skis on snow
a basketball game | a bouncing basketball and squeaking shoes
a soccer match | a soccer match with a whistle and a crowd
a tennis match | a tennis ball being hit
a bowling alley | a bowling ball hitting pins
people swimming | splashing in a swimming pool
waves on a beach | ocean waves
a waterfall | a waterfall
a river or a stream | a stream flowing
rain | rain falling
a thunderstorm with lightning | thunder
trees in the wind | wind blowing
a burning fire | a crackling fire
fireworks | fireworks exploding
an explosion | an explosion
a person shooting a gun | gunshots
a person sawing wood | sawing of wood
a person hammering | hammering
a drill | an electric drill
a chainsaw | a chainsaw
a lawn mower | a lawn mower
a construction site | construction machines
a factory machine | a machine running in a factory
a blender | a blender
food frying in a pan | food sizzling in a pan
a person chopping vegetables | chopping on a wooden board
water running from a tap | water running from a tap
a person pouring a drink | liquid being poured into a glass
breaking glass | glass breaking
a vacuum cleaner | a vacuum cleaner
a washing machine | a washing machine
a hair dryer | a hair dryer
a door being opened | a door creaking and closing
a person sweeping the floor | sweeping with a broom
a printer or a copier | a printer printing
a sewing machine | a sewing machine
a video game on a screen | the sounds of a video game
a quiet landscape | quiet natural ambience
an empty room | a quiet room with a faint hum
"""


def read_labels(path: str | Path | None = None) -> tuple[Label, ...]:
    """The labels of a file, or the toolkit's own, about 110.

    Args:
        path: Text, UTF-8: a line for each label, ``what is seen | what is heard``, or one text for both;
            empty lines and lines that begin with # do not count.

    Raises:
        UserError: The file cannot be read, or has fewer than two labels.
    """
    if path is None:
        return _parse(_OWN)
    try:
        labels = _parse(Path(path).expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeError) as error:
        raise UserError(f"{path}: the list of labels cannot be read ({error})") from None
    if len(labels) < 2:
        raise UserError(
            f"{path}: {len(labels)} labels; two or more are needed, a line for each: seen | heard"
        )
    return labels


def labels_digest(labels: tuple[Label, ...]) -> str:
    """SHA-256 of a list of labels."""
    return hashlib.sha256("\n".join(f"{seen}|{heard}" for seen, heard in labels).encode()).hexdigest()


def _parse(text: str) -> tuple[Label, ...]:
    lines = (line.strip() for line in text.splitlines())
    labels = []
    for line in lines:
        if line and not line.startswith("#"):
            seen, _, heard = (part.strip() for part in line.partition("|"))
            labels.append(Label(seen or heard, heard or seen))
    return tuple(dict.fromkeys(label for label in labels if label.seen))
