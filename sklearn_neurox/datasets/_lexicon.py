# SPDX-License-Identifier: BSD-3-Clause
"""The words of `make_tagged_words`: some 300 entries, chosen because they are ambiguous.

A verb is ``(base, third person, past, past participle, present participle)``, and a noun is
``(singular, plural)``. Irregular forms follow a slash: ``fall/fell/fallen``, ``leaf/leaves``. A
word that can be several parts of speech appears in several tables; the grammar assigns the tag.
"""

import re


def _with_s(word):
    if word.endswith("y") and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + ("es" if re.search("(s|x|ch|sh|o)$", word) else "s")


def _verb(entry):
    base, *irregular = entry.split("/")
    # A single vowel before a single consonant doubles the consonant: "stopped", "running".
    stem = re.sub("^([^aeiou]*[aeiou])([mnpt])$", r"\1\2\2", base)
    past = re.sub("[^aeou]y$", lambda end: end[0][0] + "i", stem).removesuffix("e") + "ed"
    present = "lying" if base == "lie" else re.sub("([^e])e$", r"\1", stem) + "ing"
    past, participle = irregular or (past, past)
    return base, _with_s(base), past, participle, present


def _verbs(entries):
    return tuple(map(_verb, entries.split()))


def _nouns(entries):
    pairs = (entry.split("/") for entry in entries.split())
    return tuple((noun, *(irregular or [_with_s(noun)])) for noun, *irregular in pairs)


def _words(entries):
    return tuple(entries.split())


BE = ("be", "is", "was", "been", "being")
HAVE = ("have", "has", "had", "had", "having")
DO = ("do", "does", "did", "done", "doing")
# The forms of "be" by (person, number, tense); all others are "are" and "were".
BE_FORMS = {
    (1, "Sing", "Pres"): "am",
    (3, "Sing", "Pres"): "is",
    (1, "Sing", "Past"): "was",
    (3, "Sing", "Past"): "was",
}
MODALS = _words("will can may might must should would could")
VERBS = {
    "intransitive": _verbs("""
        rest play work wait fall/fell/fallen sleep/slept/slept rise/rose/risen train dream cook
        fish dance talk stop duck lie/lay/lain smile rock"""),
    "motion": _verbs("""
        run/ran/run walk drive/drove/driven fly/flew/flown come/came/come go/went/gone march
        ride/rode/ridden race swim/swam/swum step"""),
    "transitive": _verbs("""
        see/saw/seen saw/sawed/sawn leave/left/left find/found/found light/lit/lit watch guard
        judge guide fight/fought/fought call visit follow paint mark book order cut/cut/cut box
        plant water test clean dry open close warm cool empty free calm hold/held/held
        keep/kept/kept ship record park heat welcome grind/ground/ground wind/wound/wound
        lay/laid/laid ring/rang/rung bear/bore/borne land lead/led/led hand like love fear own
        need help"""),
    "clausal": _verbs("""
        think/thought/thought know/knew/known hope say/said/said feel/felt/felt fear dream answer
        report see/saw/seen find/found/found hear/heard/heard doubt"""),
    "control": _verbs("want hope plan try need like love promise"),
    "copula": (BE,),
    "passive": (BE,),
    "possession": (HAVE,),
    "doing": (DO,),
}
# These describe a state, so they take no progressive.
STATIVE = frozenset(_words("have like love own need know want see fear find"))

NOUNS = {
    "beings": _nouns("""
        cook guard judge guide patient human bear duck fly swallow fish/fish sheep/sheep dog bird
        horse seal doctor nurse teacher child/children woman/women man/men friend worker"""),
    "things": _nouns("""
        saw light box book ship train plane plant rock watch can will match rose leaf/leaves letter
        report record order mark wound plan answer doubt promise dream drink ring well lead bill
        hand step secret present thought orange table picture lie"""),
    "places": _nouns("park bank house garden home square land hill street door river well back"),
    "events": _nouns("""
        race play walk run fight visit test call dance fall march talk rest stop cut ride drive
        smile"""),
}
MASS = _words(
    "water work paint love fear hope rain snow ground help heat sleep might felt calm cold"
)
SIDES = _words("left right")
PROPER = _words(
    "Will Mark Rose Bill Grace Grant Frank May Hope Rob Drew Sue Pat Anna Tom Maria London Paris"
    " Turkey China"
)

ADJECTIVES = _words(
    "light dry clean open warm cool calm empty slow clear free cold kind patient human fair fine"
    " early late fast hard still secret present close mean blind green orange round sound plain"
    " square welcome big small old young happy sad quiet strange sharp deep safe"
)
ATTRIBUTIVE = _words("left right back past only last inside outside")
PREDICATIVE = _words("well ready sorry afraid alone")
DEGREE = _words("very so quite too")
BEFORE_VERB = _words("often never always still only soon also")
AFTER_VERB = _words("well hard fast early late quickly slowly here there again now")
PLACE_ADVERBS = _words("there here inside outside")
DIRECTIONS = _words("home back there inside outside away")

# (nominative, accusative, possessive, person, number of the pronoun, number of its verb).
# English UD leaves the number of "you" open and gives its verb the singular.
PRONOUNS = (
    ("I", "me", "my", 1, "Sing", "Sing"),
    ("you", "you", "your", 2, None, "Sing"),
    ("he", "him", "his", 3, "Sing", "Sing"),
    ("she", "her", "her", 3, "Sing", "Sing"),
    ("it", "it", "its", 3, "Sing", "Sing"),
    ("we", "us", "our", 1, "Plur", "Plur"),
    ("they", "them", "their", 3, "Plur", "Plur"),
)
DEMONSTRATIVES = {"Sing": ("this", "that"), "Plur": ("these", "those")}
DETERMINERS = {
    "Sing": _words("the the the a a every no another either each"),
    "Plur": _words("the the the some no all both"),
    "Mass": _words("the the some no all"),
}
NUMERALS = _words("two three four ten")
WHERE = _words("in near behind inside outside at")
ABOUT = _words("with near behind of like from")
TIMES = _words("before after until")
TOWARDS = _words("to to past from")
SUBORDINATORS = _words("because if while although before after until since")
