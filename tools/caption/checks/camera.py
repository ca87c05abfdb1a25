"""What a caption says about the camera, compared with the measured camera motion."""

from __future__ import annotations

import re

_CAMERA = re.compile(r"cameras?|viewpoint|lens")
_PICTURE = re.compile(r"shot|view|footage|video|clip|scene|frame|perspective")  # may "follow" anything
_VERBS = {
    "pan": re.compile(r"pan(?:s|ned|ning)?"),
    "tilt": re.compile(r"tilt(?:s|ed|ing)?"),
    "zoom": re.compile(r"zoom(?:s|ed|ing)?"),
    "roll": re.compile(r"rotat(?:es?|ed|ing)"),  # "as the camera rolls" means that it films
    "move": re.compile(
        r"mov(?:es?|ing)|push(?:es|ing)?|pull(?:s|ing)?|doll(?:y|ies|ying)|track(?:s|ing)?|follow(?:s|ing)?"
        r"|orbit(?:s|ing)?|circl(?:es?|ing)"
    ),
}
_OF_THE_CAMERA_ALONE = ("move", "roll")
_FILLER = re.compile(
    r"slowly|gently|smoothly|gradually|briefly|slightly|quickly|steadily|subtly|softly|swiftly|first|finally"
    r"|steady|slow|smooth|gentle|is|are|was|be|begin(?:s|ning)?|start(?:s|ing)?|continu(?:es?|ing)"
    r"|to|also|the|a|it|angle|work|motion|movements?"
)
_DIRECTIONS = {
    "left": re.compile(r"left(?:wards?)?"),
    "right": re.compile(r"right(?:wards?)?"),
    "up": re.compile(r"up(?:wards?)?"),
    "down": re.compile(r"down(?:wards?)?"),
    "in": re.compile(r"in|closer|forwards?"),
    "out": re.compile(r"out|back(?:wards?)?|away"),
    "cw": re.compile(r"clockwise"),
    "ccw": re.compile(r"(?:counter-?|anti-?)clockwise"),
}
_FITTING = {
    "pan": ("left", "right", "up", "down"),  # many say pan for tilt
    "tilt": ("up", "down"),
    "zoom": ("in", "out"),
    "roll": ("cw", "ccw"),
    "move": ("left", "right", "up", "down", "in", "out"),
}
_LABELS = {
    "left": "pan_left",
    "right": "pan_right",
    "up": "tilt_up",
    "down": "tilt_down",
    "in": "zoom_in",
    "out": "zoom_out",
    "cw": "roll_cw",
    "ccw": "roll_ccw",
}
_PAIRS = (
    ("pan_left", "pan_right"),
    ("tilt_up", "tilt_down"),
    ("zoom_in", "zoom_out"),
    ("roll_cw", "roll_ccw"),
)
_OPPOSITES = dict(_PAIRS) | {there: here for here, there in _PAIRS}
_STILL = r"(?:static|still|stationary|fixed|motionless|unmoving|locked|in place)"
_STATIC = re.compile(
    r"\bcamera (?:angle )?(?:(?:is|remains|stays|stands|holds|keeps|appears|seems)(?: to be)? )"
    rf"(?:completely |entirely |perfectly |totally |fully )?{_STILL}\b(?! (?:to|on|onto|at) (?:a|the)\b)"
    r"|\b(?:static|stationary|locked-off|fixed) (?:camera|shot|view|frame)\b"
    r"|\bcamera (?:does not|doesn't|never) moves?\b|\bcamera (?:is not|isn't) moving\b"
    r"|\b(?:no|without) camera (?:movement|motion)\b|\bcamera (?:motion|movement): static\b"
)
_HEDGED = re.compile(
    r"\b(?:mostly|largely|relatively|almost|nearly|fairly|mainly|initially|at first|not)(?: a)? "
    r"(?:static|stationary|fixed|still)"
)
_NOUN = re.compile(
    r"\b(?:slow|gentle|smooth|gradual|quick|subtle|slight|steady) (pan|tilt|zoom|push)[ -]"
    r"(?:to the )?(left|right|up|down|upward|downward|in|out)\b(?! of\b| side\b)"
)
_TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*|[.,;:!?]")


def camera_claims(text: str) -> set[str]:
    """What a caption says about the camera.

    Args:
        text: A caption in English.

    Returns:
        Labels of camera motion that it claims; ``static`` when it says that the camera does not move, and
        ``moves`` when it says that it moves, but not in which direction. Statements about other things are
        ignored: a claim follows the camera, the shot or the view, with only auxiliary words between.
    """
    text = text.casefold().replace("’", "'")
    claims = {"static"} if _STATIC.search(_HEDGED.sub(" ", text)) else set()
    for verb, direction in _NOUN.findall(text):
        claims.add(_label("move" if verb == "push" else verb, _direction(direction)))
    tokens = _TOKEN.findall(text)
    for position, token in enumerate(tokens):
        if _CAMERA.fullmatch(token):
            claims |= _Clause(tuple(_VERBS)).read(tokens[position + 1 :])
        elif _PICTURE.fullmatch(token):
            verbs = tuple(verb for verb in _VERBS if verb not in _OF_THE_CAMERA_ALONE)
            claims |= _Clause(verbs).read(tokens[position + 1 :])
    return claims


class _Clause:
    """Reads the words after the camera, up to the first word about something else.

    Args:
        verbs: Kinds of verbs that count.
    """

    def __init__(self, verbs: tuple[str, ...]) -> None:
        self._verbs = verbs
        self._claims: set[str] = set()
        self._verb = ""
        self._directions: list[str] = []  # since the verb; "" stands for "from"
        self._claimed = False  # whether the verb led to a claim

    def read(self, tokens: list[str]) -> set[str]:
        """The claims that a run of words makes."""
        for token in tokens:
            if verb := self._kind(token):
                self._close()
                self._verb, self._claimed = verb, False
            elif self._verb and (direction := _direction(token)):
                self._directions.append(direction)
            elif self._verb and token == "from":
                self._directions.append("")
            elif token == "then" or (self._verb and token in ("and", ",")):
                self._close()
            elif token == "of" and self._directions:  # "to the left of the house" is a place
                self._directions = []
                break
            elif token != ":" and not _FILLER.fullmatch(token):
                break
        self._close()
        return self._claims

    def _kind(self, token: str) -> str:
        return next((verb for verb in self._verbs if _VERBS[verb].fullmatch(token)), "")

    def _close(self) -> None:
        """Add the claim since the verb, or since the last "then"."""
        if self._verb and (self._directions or not self._claimed):
            self._claims.add(_label(self._verb, self._goal()))
            self._claimed = True
        self._directions = []

    def _goal(self) -> str:
        """The final direction: right in "from left to right", and in "right from the left"."""
        if "" not in self._directions:
            return self._directions[-1] if self._directions else ""
        start = self._directions.index("")
        before, after = self._directions[:start], self._directions[start + 1 :]
        if before:
            return before[-1]
        return after[-1] if len(after) > 1 else ""


def _direction(token: str) -> str:
    return next((name for name, pattern in _DIRECTIONS.items() if pattern.fullmatch(token)), "")


def _label(verb: str, direction: str) -> str:
    return _LABELS[direction] if direction in _FITTING[verb] else "moves"


def contradicts_motion(text: str, cmotion: str | None) -> bool:
    """Whether a caption contradicts the measured camera motion.

    Args:
        text: The caption.
        cmotion: Labels joined by ``+``; unknown where it is empty or ``undetermined``.

    Returns:
        Whether it claims a motion of a static camera, a static camera that moves, or the opposite of a
        measured direction. A further motion that was not measured is no contradiction, nor is shake, nor are
        claims of both static and moving, or of both directions.
    """
    measured = set((cmotion or "").split("+")) - {"", "undetermined"}
    if not measured:
        return False
    claims = camera_claims(text)
    moves = claims - {"static"}
    if measured == {"static"}:
        return bool(moves) and "static" not in claims
    if claims == {"static"}:
        return bool(measured & set(_OPPOSITES))
    return any(_OPPOSITES.get(move) in measured - claims and move not in measured for move in moves)
