# SPDX-License-Identifier: BSD-3-Clause
from sklearn_neurox.datasets import _lexicon as lexicon

# What a verb phrase may be; a construction named twice is twice as likely.
_GROUPS = ("simple",) * 5 + ("progressive", "perfect", "modal", "modal", "negative")
_AUXILIARY_GROUPS = ("do", "do", "do", "progressive", "perfect", "modal", "modal")
_PREDICATES = (
    ("transitive",) * 6
    + ("intransitive",) * 3
    + ("motion", "motion", "clausal", "clausal", "control", "control")
    + ("copula", "copula", "passive", "possession", "doing")
)
_SIMPLE_PREDICATES = ("transitive", "transitive", "intransitive", "motion", "copula", "possession")
_SENTENCES = ("statement",) * 6 + ("complex", "complex", "yes_no", "wh", "command", "existential")


def _word(form, upos, number=None, tense=None):
    return (form, upos, number, tense)


def _finite(verb, upos, person, number, tense):
    """Inflect a verb for its subject and tense."""
    base, third, past, _, _ = verb
    if base == "be":
        form = lexicon.BE_FORMS[person, number, tense]
    elif tense == "Past":
        form = past
    else:
        form = third if (person, number) == (3, "Sing") else base
    return _word(form, upos, number, tense)


def _participle(verb, tense, upos="VERB"):
    return _word(verb[3] if tense == "Past" else verb[4], upos, None, tense)


def _upos(verb):
    return "AUX" if verb is lexicon.BE else "VERB"


def _spell(words, end):
    """Put a capital at the start, a mark at the end, and "an" before a vowel."""
    following = [*words[1:], ("", "")]
    words = [
        _word("an", *word[1:]) if word[:2] == ("a", "DET") and after[0][0] in "aeiou" else word
        for word, after in zip(words, following, strict=True)
    ]
    form, *labels = words[0]
    return [(form[0].upper() + form[1:], *labels), *words[1:], _word(end, "PUNCT")]


class SentenceGrammar:
    """Write sentences; every method returns the words of one constituent.

    A word is ``(form, upos, number, tense)``, with None for what it does not have.

    Parameters
    ----------
    random : callable
        Returns a uniform number from [0, 1).
    """

    def __init__(self, random):
        self.random = random

    def chance(self, probability):
        return self.random() < probability

    def pick(self, options):
        return options[int(self.random() * len(options))]

    # Sentences -----------------------------------------------------------------------------------

    def sentence(self):
        return getattr(self, self.pick(_SENTENCES))()

    def statement(self):
        words = self.clause(depth=1)
        if self.chance(0.1):
            words = [_word("no", "INTJ"), _word(",", "PUNCT"), *words]
        elif self.chance(0.15):
            joint = _word(self.pick(("and", "but", "or")), "CCONJ")
            words = [*words, _word(",", "PUNCT"), joint, *self.clause(depth=0)]
        return _spell(words, ".")

    def complex(self):
        # English UD has "when" as an adverb, the other subordinators as conjunctions.
        when = _word("when", "ADV")
        link = when if self.chance(0.1) else _word(self.pick(lexicon.SUBORDINATORS), "SCONJ")
        main, side = self.clause(depth=0), [link, *self.clause(depth=0)]
        if self.chance(0.5):
            return _spell([*side, _word(",", "PUNCT"), *main], ".")
        return _spell([*main, *side], ".")

    def yes_no(self):
        return _spell(self.inverted(self.pick(_SIMPLE_PREDICATES)), "?")

    def wh(self):
        kind = self.pick(("subject", "object", "adverb", "which"))
        if kind == "subject":
            return _spell([_word("who", "PRON"), *self.predicate(3, "Sing", depth=0)], "?")
        if kind == "object":
            asked = [_word(self.pick(("what", "who")), "PRON")]
            return _spell([*asked, *self.inverted("gap")], "?")
        if kind == "adverb":
            asked = [_word(self.pick(("why", "where", "when", "how")), "ADV")]
            return _spell([*asked, *self.inverted("transitive")], "?")
        number = self.pick(("Sing", "Plur"))
        asked = [_word(self.pick(("which", "what")), "DET"), self.noun(lexicon.THINGS, number)]
        return _spell([*asked, *self.inverted("gap")], "?")

    def command(self):
        polite = [_word("please", "INTJ")] if self.chance(0.3) else []
        negative = [_word("do", "AUX"), _word("not", "PART")] if self.chance(0.25) else []
        words = [*polite, *negative, *self.infinitive()]
        return _spell(words, self.pick((".", "!")))

    def existential(self):
        number, tense = self.pick(("Sing", "Plur")), self.pick(("Pres", "Past"))
        opening = [_word("there", "PRON"), _finite(lexicon.BE, "AUX", 3, number, tense)]
        some = _word(self.pick({"Sing": ("a", "no"), "Plur": ("some", "no")}[number]), "DET")
        words = [some, *self.nominal(number, lexicon.THINGS), *self.prepositional(lexicon.WHERE, 0)]
        return _spell([*opening, *words], ".")

    # Clauses -------------------------------------------------------------------------------------

    def clause(self, depth):
        words, person, number = self.noun_phrase("subject", depth)
        return [*words, *self.predicate(person, number, depth)]

    def inverted(self, kind):
        """Put the auxiliary before the subject."""
        words, person, number = self.noun_phrase("subject", depth=0)
        verb = self.verb_of(kind)
        auxiliary, rest = self.verb_group(verb, person, number, _AUXILIARY_GROUPS)
        return [*auxiliary, *words, *rest, *self.complement(kind, depth=0)]

    def predicate(self, person, number, depth):
        kind = self.pick(_PREDICATES if depth > 0 else _SIMPLE_PREDICATES)
        auxiliary, rest = self.verb_group(self.verb_of(kind), person, number, _GROUPS)
        words = [*auxiliary, *rest, *self.complement(kind, depth)]
        if depth > 0 and self.chance(0.12):
            words += [_word("and", "CCONJ"), *self.predicate(person, number, depth=0)]
        return words

    def infinitive(self):
        kind = self.pick(("transitive", "transitive", "intransitive", "motion", "doing"))
        return [_word(self.verb_of(kind)[0], "VERB"), *self.complement(kind, depth=0)]

    def verb_of(self, kind):
        table = {
            "intransitive": lexicon.INTRANSITIVE,
            "motion": lexicon.MOTION,
            "clausal": lexicon.CLAUSAL,
            "control": lexicon.CONTROL,
            "copula": (lexicon.BE,),
            "passive": (lexicon.BE,),
            "possession": (lexicon.HAVE,),
            "doing": (lexicon.DO,),
        }
        return self.pick(table.get(kind, lexicon.TRANSITIVE))

    def verb_group(self, verb, person, number, groups):
        """Return the first auxiliary, which a question moves, and the words after it."""
        group, tense = self.pick(groups), self.pick(("Pres", "Past"))
        if group == "progressive" and (verb is lexicon.BE or verb[0] in lexicon.STATIVE):
            group = "modal"
        if verb is lexicon.BE and group in ("simple", "do", "negative"):
            denied = [_word("not", "PART")] if group == "negative" else []
            return [_finite(verb, "AUX", person, number, tense)], denied
        if group == "simple":
            adverb = [_word(self.pick(lexicon.BEFORE_VERB), "ADV")] if self.chance(0.12) else []
            return [], [*adverb, _finite(verb, "VERB", person, number, tense)]
        if group == "modal":
            auxiliary, main = _word(self.pick(lexicon.MODALS), "AUX"), _word(verb[0], _upos(verb))
        elif group == "progressive":
            auxiliary = _finite(lexicon.BE, "AUX", person, number, tense)
            main = _participle(verb, "Pres")
        elif group == "perfect":
            auxiliary = _finite(lexicon.HAVE, "AUX", person, number, tense)
            main = _participle(verb, "Past", _upos(verb))
        else:
            auxiliary = _finite(lexicon.DO, "AUX", person, number, tense)
            main = _word(verb[0], "VERB")
        return [auxiliary], [*self.between(group), main]

    def between(self, group):
        if group == "negative" or (group in ("modal", "perfect") and self.chance(0.15)):
            return [_word("not", "PART")]
        if group in ("modal", "perfect", "progressive") and self.chance(0.12):
            return [_word(self.pick(lexicon.BEFORE_VERB), "ADV")]
        return []

    # Complements ---------------------------------------------------------------------------------

    def complement(self, kind, depth):
        return getattr(self, f"after_{kind}")(depth)

    def after_transitive(self, depth):
        words = self.noun_phrase("object", depth)[0]
        return [*words, *self.adjunct(0.35)]

    def after_gap(self, depth):
        return self.adjunct(0.25)

    def after_intransitive(self, depth):
        return self.adjunct(0.8)

    def after_motion(self, depth):
        if self.chance(0.4):
            return [_word(self.pick(lexicon.DIRECTIONS), "ADV")]
        return self.prepositional(lexicon.TOWARDS, depth)

    def after_clausal(self, depth):
        that = [_word("that", "SCONJ")] if self.chance(0.7) else []
        return [*that, *self.clause(depth=0)]

    def after_control(self, depth):
        return [_word("to", "PART"), *self.infinitive()]

    def after_copula(self, depth):
        if self.chance(0.25):
            return self.prepositional(lexicon.WHERE, depth)
        if self.chance(0.15):
            return [_word(self.pick(lexicon.PLACE_ADVERBS), "ADV")]
        degree = [_word(self.pick(lexicon.DEGREE), "ADV")] if self.chance(0.4) else []
        table = lexicon.PREDICATIVE if self.chance(0.2) else lexicon.ADJECTIVES
        return [*degree, _word(self.pick(table), "ADJ")]

    def after_passive(self, depth):
        words = [_participle(self.pick(lexicon.TRANSITIVE), "Past")]
        if self.chance(0.6):
            words += [_word("by", "ADP"), *self.noun_phrase("object", depth=0)[0]]
        return words

    def after_possession(self, depth):
        return self.common("Sing", lexicon.THINGS, depth)

    def after_doing(self, depth):
        if self.chance(0.4):
            return [_word(self.pick(("the", "some", "no")), "DET"), _word("work", "NOUN", "Sing")]
        return [_word(self.pick(("the", "every", "another")), "DET"), _word("test", "NOUN", "Sing")]

    def adjunct(self, probability):
        if not self.chance(probability):
            return []
        kind = self.pick(("adverb", "where", "time", "like"))
        if kind == "adverb":
            return [_word(self.pick(lexicon.AFTER_VERB), "ADV")]
        if kind == "where":
            return self.prepositional(lexicon.WHERE, depth=0)
        if kind == "time":
            number = self.pick(("Sing", "Sing", "Plur"))
            time = _word(self.pick(lexicon.TIMES), "ADP")
            return [time, *self.common(number, lexicon.EVENTS, depth=0)]
        return [_word("like", "ADP"), *self.common("Sing", lexicon.BEINGS, depth=0)]

    def prepositional(self, table, depth):
        number = self.pick(("Sing", "Sing", "Plur"))
        preposition = _word(self.pick(table), "ADP")
        if self.chance(0.1):
            article = _word("the", "DET")
            return [preposition, article, _word(self.pick(lexicon.SIDES), "NOUN", "Sing")]
        return [preposition, *self.common(number, lexicon.PLACES, depth)]

    # Noun phrases --------------------------------------------------------------------------------

    def noun_phrase(self, role, depth):
        """Return the words of a noun phrase, its person, and the number its verb takes."""
        kind = self.pick(
            ("pronoun",) * 4
            + ("common",) * 7
            + ("proper", "proper", "demonstrative", "mass", "one", "pair")
        )
        if kind == "pronoun":
            row = self.pick(lexicon.PRONOUNS)
            form = row[0] if role == "subject" else row[1]
            return [_word(form, "PRON", row[4])], row[3], row[5]
        if kind == "proper":
            return [_word(self.pick(lexicon.PROPER), "PROPN", "Sing")], 3, "Sing"
        if kind == "mass":
            noun = _word(self.pick(lexicon.MASS), "NOUN", "Sing")
            return [_word(self.pick(lexicon.DETERMINERS["Mass"]), "DET"), noun], 3, "Sing"
        if kind == "one":
            article, adjective = _word(self.pick(("the", "a", "another")), "DET"), self.adjective()
            return [article, adjective, _word("one", "NOUN", "Sing")], 3, "Sing"
        if kind == "pair":
            return self.pair()
        number = self.pick(("Sing", "Sing", "Plur"))
        if kind == "demonstrative":
            return [self.demonstrative("PRON", number)], 3, number
        table = lexicon.BEINGS if role == "subject" and self.chance(0.6) else lexicon.THINGS
        return self.common(number, table, depth), 3, number

    def pair(self):
        """Join two noun phrases; "either ... or" agrees with the nearer, which is singular."""
        left, right = (
            [_word(self.pick(("the", "a")), "DET"), *self.nominal("Sing", lexicon.BEINGS)]
            for _ in range(2)
        )
        opening, joint, number = self.pick(
            (("both", "and", "Plur"), ("either", "or", "Sing"), (None, "and", "Plur"))
        )
        opening = [_word(opening, "CCONJ")] if opening else []
        return [*opening, *left, _word(joint, "CCONJ"), *right], 3, number

    def common(self, number, table, depth):
        words = [*self.determiner(number), *self.nominal(number, table)]
        if depth > 0 and self.chance(0.2):
            words += self.prepositional(lexicon.ABOUT, depth=0)
        if depth > 0 and self.chance(0.22):
            words += self.relative(number, table)
        return words

    def nominal(self, number, table):
        """Put a noun behind adjectives, and sometimes behind another noun."""
        adjectives = [self.adjective()] if self.chance(0.3) else []
        modifier = [self.noun(lexicon.THINGS, "Sing")] if self.chance(0.08) else []
        return [*adjectives, *modifier, self.noun(table, number)]

    def noun(self, table, number):
        return _word(self.pick(table)[number == "Plur"], "NOUN", number)

    def adjective(self):
        table = lexicon.ATTRIBUTIVE if self.chance(0.15) else lexicon.ADJECTIVES
        return _word(self.pick(table), "ADJ")

    def demonstrative(self, upos, number):
        return _word(self.pick(lexicon.DEMONSTRATIVES[number]), upos, number)

    def determiner(self, number):
        kind = self.pick(
            ("plain",) * 6 + ("demonstrative", "demonstrative", "possessive", "number")
        )
        if kind == "demonstrative":
            return [self.demonstrative("DET", number)]
        if kind == "possessive":
            row = self.pick(lexicon.PRONOUNS)
            return [_word(row[2], "PRON", row[4])]
        if kind == "number":
            numeral = "one" if number == "Sing" else self.pick(lexicon.NUMERALS)
            return [_word(numeral, "NUM")]
        return [_word(self.pick(lexicon.DETERMINERS[number]), "DET")]

    def relative(self, number, table):
        who = "who" if table is lexicon.BEINGS else "which"
        opening = _word("that" if self.chance(0.7) else who, "PRON")
        if self.chance(0.6):
            return [opening, *self.predicate(3, number, depth=0)]
        words, person, agreement = self.noun_phrase("subject", depth=0)
        verb = self.verb_of("gap")
        auxiliary, rest = self.verb_group(verb, person, agreement, _GROUPS)
        return [opening, *words, *auxiliary, *rest]
