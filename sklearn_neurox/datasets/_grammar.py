# SPDX-License-Identifier: BSD-3-Clause
"""The grammar of `make_tagged_words`; an option that is listed twice is twice as likely."""

from itertools import pairwise

from sklearn_neurox.datasets import _lexicon as lexicon

_SENTENCES = ("statement " * 6 + "complex complex yes_no wh command existential").split()
_PREDICATES = (
    "transitive " * 6 + "intransitive " * 3 + "motion motion clausal clausal control control "
    "copula copula passive possession doing"
).split()
_SIMPLE_PREDICATES = "transitive transitive intransitive motion copula possession".split()
_INFINITIVES = "transitive transitive intransitive motion doing".split()
_VERB_GROUPS = ("simple " * 5 + "progressive perfect modal modal negative").split()
_AUXILIARY_GROUPS = "do do do progressive perfect modal modal".split()
_NOUN_PHRASES = (
    "pronoun " * 4 + "common " * 7 + "proper proper demonstrative mass one pair"
).split()
_DETERMINERS = ("plain " * 6 + "demonstrative demonstrative possessive number").split()
_NUMBERS = ("Sing", "Plur")
_MOSTLY_SINGULAR = ("Sing", "Sing", "Plur")


def _word(form, upos, number=None, tense=None):
    return [(form, upos, number, tense)]


_COMMA = _word(",", "PUNCT")
_NOT = _word("not", "PART")


def _finite(verb, upos, person, number, tense):
    """Inflect a verb for its subject and tense."""
    base, third, past, *_ = verb
    if verb is lexicon.BE:
        form = lexicon.BE_FORMS.get((person, number, tense), "are" if tense == "Pres" else "were")
    elif tense == "Past":
        form = past
    else:
        form = third if (person, number) == (3, "Sing") else base
    return _word(form, upos, number, tense)


def _spell(words, end):
    """Capitalize the first word, write "an" before a vowel, and add the punctuation mark."""
    words = words + _word(end, "PUNCT")
    for place, (word, after) in enumerate(pairwise(words)):
        if word[:2] == ("a", "DET") and after[0][0] in "aeiou":
            words[place] = ("an", *word[1:])
    form, *labels = words[0]
    return [(form[0].upper() + form[1:], *labels), *words[1:]]


class SentenceGrammar:
    """Generate sentences; each method returns the words of one constituent.

    A word is ``(form, upos, number, tense)``, with None for a label that it does not have.
    `random` returns a uniform number from [0, 1).
    """

    def __init__(self, random):
        self.random = random

    def chance(self, probability):
        return self.random() < probability

    def pick(self, options):
        return options[int(self.random() * len(options))]

    def one_of(self, upos, forms, number=None):
        return _word(self.pick(forms), upos, number)

    # Sentences -----------------------------------------------------------------------------------

    def sentence(self):
        return getattr(self, self.pick(_SENTENCES))()

    def statement(self):
        words = self.clause(depth=1)
        if self.chance(0.1):
            words = _word("no", "INTJ") + _COMMA + words
        elif self.chance(0.15):
            joint = self.one_of("CCONJ", ("and", "but", "or"))
            words = words + _COMMA + joint + self.clause(depth=0)
        return _spell(words, ".")

    def complex(self):
        # English UD tags "when" as an adverb and the other subordinators as conjunctions.
        if self.chance(0.1):
            link = _word("when", "ADV")
        else:
            link = self.one_of("SCONJ", lexicon.SUBORDINATORS)
        main, side = self.clause(depth=0), link + self.clause(depth=0)
        return _spell(side + _COMMA + main if self.chance(0.5) else main + side, ".")

    def yes_no(self):
        return _spell(self.inverted(self.pick(_SIMPLE_PREDICATES)), "?")

    def wh(self):
        match self.pick(("subject", "object", "adverb", "which")):
            case "subject":
                words = _word("who", "PRON") + self.predicate(3, "Sing", depth=0)
            case "object":
                words = self.one_of("PRON", ("what", "who")) + self.inverted("gap")
            case "adverb":
                adverb = self.one_of("ADV", ("why", "where", "when", "how"))
                words = adverb + self.inverted("transitive")
            case _:
                number = self.pick(_NUMBERS)
                words = self.one_of("DET", ("which", "what")) + self.noun("things", number)
                words += self.inverted("gap")
        return _spell(words, "?")

    def command(self):
        words = _word("please", "INTJ") if self.chance(0.3) else []
        if self.chance(0.25):
            words += _word("do", "AUX") + _NOT
        words += self.infinitive()
        return _spell(words, self.pick((".", "!")))

    def existential(self):
        number, tense = self.pick(_NUMBERS), self.pick(("Pres", "Past"))
        words = _word("there", "PRON") + _finite(lexicon.BE, "AUX", 3, number, tense)
        words += self.one_of("DET", {"Sing": ("a", "no"), "Plur": ("some", "no")}[number])
        words += self.nominal("things", number) + self.prepositional(lexicon.WHERE, depth=0)
        return _spell(words, ".")

    # Clauses and verb phrases ---------------------------------------------------------------------

    def clause(self, depth):
        words, person, number = self.noun_phrase("subject", depth)
        return words + self.predicate(person, number, depth)

    def inverted(self, kind):
        """Put the auxiliary before the subject."""
        words, person, number = self.noun_phrase("subject", depth=0)
        auxiliary, rest = self.verb_group(kind, person, number, _AUXILIARY_GROUPS)
        return auxiliary + words + rest + self.complement(kind, depth=0)

    def predicate(self, person, number, depth):
        kind = self.pick(_PREDICATES if depth > 0 else _SIMPLE_PREDICATES)
        auxiliary, rest = self.verb_group(kind, person, number, _VERB_GROUPS)
        words = auxiliary + rest + self.complement(kind, depth)
        if depth > 0 and self.chance(0.12):
            words += _word("and", "CCONJ") + self.predicate(person, number, depth=0)
        return words

    def infinitive(self):
        kind = self.pick(_INFINITIVES)
        return _word(self.verb(kind)[0], "VERB") + self.complement(kind, depth=0)

    def verb(self, kind):
        return self.pick(lexicon.VERBS.get(kind, lexicon.VERBS["transitive"]))

    def verb_group(self, kind, person, number, groups):
        """Return the first auxiliary, which a question moves, and the words after it."""
        verb, group, tense = self.verb(kind), self.pick(groups), self.pick(("Pres", "Past"))
        upos = "AUX" if verb is lexicon.BE else "VERB"
        if group == "progressive" and (verb is lexicon.BE or verb[0] in lexicon.STATIVE):
            group = "modal"
        if verb is lexicon.BE and group in ("simple", "do", "negative"):
            be = _finite(verb, "AUX", person, number, tense)
            return be, _NOT if group == "negative" else []
        if group == "simple":
            adverb = self.one_of("ADV", lexicon.BEFORE_VERB) if self.chance(0.12) else []
            return [], adverb + _finite(verb, "VERB", person, number, tense)
        if group == "modal":
            auxiliary, main = self.one_of("AUX", lexicon.MODALS), _word(verb[0], upos)
        elif group == "progressive":
            auxiliary = _finite(lexicon.BE, "AUX", person, number, tense)
            main = _word(verb[4], "VERB", tense="Pres")
        elif group == "perfect":
            auxiliary = _finite(lexicon.HAVE, "AUX", person, number, tense)
            main = _word(verb[3], upos, tense="Past")
        else:
            auxiliary = _finite(lexicon.DO, "AUX", person, number, tense)
            main = _word(verb[0], "VERB")
        return auxiliary, self.between(group) + main

    def between(self, group):
        if group == "negative" or (group in ("modal", "perfect") and self.chance(0.15)):
            return _NOT
        if group in ("modal", "perfect", "progressive") and self.chance(0.12):
            return self.one_of("ADV", lexicon.BEFORE_VERB)
        return []

    def complement(self, kind, depth):
        match kind:
            case "transitive":
                return self.noun_phrase("object", depth)[0] + self.adjunct(0.35)
            case "gap":
                return self.adjunct(0.25)
            case "intransitive":
                return self.adjunct(0.8)
            case "motion":
                if self.chance(0.4):
                    return self.one_of("ADV", lexicon.DIRECTIONS)
                return self.prepositional(lexicon.TOWARDS, depth)
            case "clausal":
                that = _word("that", "SCONJ") if self.chance(0.7) else []
                return that + self.clause(depth=0)
            case "control":
                return _word("to", "PART") + self.infinitive()
            case "copula":
                return self.property(depth)
            case "passive":
                words = _word(self.verb("transitive")[3], "VERB", tense="Past")
                if self.chance(0.6):
                    words += _word("by", "ADP") + self.noun_phrase("object", depth=0)[0]
                return words
            case "possession":
                return self.common("things", "Sing", depth)
            case "doing":
                if self.chance(0.4):
                    determiner, noun = self.one_of("DET", ("the", "some", "no")), "work"
                else:
                    determiner, noun = self.one_of("DET", ("the", "every", "another")), "test"
                return determiner + _word(noun, "NOUN", "Sing")

    def property(self, depth):
        """Describe where or how the subject of "be" is."""
        if self.chance(0.25):
            return self.prepositional(lexicon.WHERE, depth)
        if self.chance(0.15):
            return self.one_of("ADV", lexicon.PLACE_ADVERBS)
        degree = self.one_of("ADV", lexicon.DEGREE) if self.chance(0.4) else []
        table = lexicon.PREDICATIVE if self.chance(0.2) else lexicon.ADJECTIVES
        return degree + self.one_of("ADJ", table)

    def adjunct(self, probability):
        if not self.chance(probability):
            return []
        match self.pick(("adverb", "where", "time", "like")):
            case "adverb":
                return self.one_of("ADV", lexicon.AFTER_VERB)
            case "where":
                return self.prepositional(lexicon.WHERE, depth=0)
            case "time":
                number = self.pick(_MOSTLY_SINGULAR)
                return self.one_of("ADP", lexicon.TIMES) + self.common("events", number, depth=0)
            case _:
                return _word("like", "ADP") + self.common("beings", "Sing", depth=0)

    def prepositional(self, prepositions, depth):
        number = self.pick(_MOSTLY_SINGULAR)
        words = self.one_of("ADP", prepositions)
        if self.chance(0.1):
            return words + _word("the", "DET") + self.one_of("NOUN", lexicon.SIDES, "Sing")
        return words + self.common("places", number, depth)

    # Noun phrases ---------------------------------------------------------------------------------

    def noun_phrase(self, role, depth):
        """Return the words of a noun phrase, its person, and the number its verb takes."""
        number = "Sing"
        match self.pick(_NOUN_PHRASES):
            case "pronoun":
                subject, object_, _, person, own_number, number = self.pick(lexicon.PRONOUNS)
                form = subject if role == "subject" else object_
                return _word(form, "PRON", own_number), person, number
            case "proper":
                words = self.one_of("PROPN", lexicon.PROPER, "Sing")
            case "mass":
                noun = self.one_of("NOUN", lexicon.MASS, "Sing")
                words = self.one_of("DET", lexicon.DETERMINERS["Mass"]) + noun
            case "one":
                words = self.one_of("DET", ("the", "a", "another")) + self.adjective()
                words += _word("one", "NOUN", "Sing")
            case "pair":
                words, number = self.pair()
            case "demonstrative":
                number = self.pick(_MOSTLY_SINGULAR)
                words = self.one_of("PRON", lexicon.DEMONSTRATIVES[number], number)
            case _:
                number = self.pick(_MOSTLY_SINGULAR)
                kind = "beings" if role == "subject" and self.chance(0.6) else "things"
                words = self.common(kind, number, depth)
        return words, 3, number

    def pair(self):
        """Join two noun phrases; "either ... or" agrees with the nearer, which is singular."""
        left, right = (
            self.one_of("DET", ("the", "a")) + self.nominal("beings", "Sing") for _ in range(2)
        )
        opening, joint, number = self.pick(
            (("both", "and", "Plur"), ("either", "or", "Sing"), (None, "and", "Plur"))
        )
        words = _word(opening, "CCONJ") if opening else []
        return words + left + _word(joint, "CCONJ") + right, number

    def common(self, kind, number, depth):
        words = self.determiner(number) + self.nominal(kind, number)
        if depth > 0 and self.chance(0.2):
            words += self.prepositional(lexicon.ABOUT, depth=0)
        if depth > 0 and self.chance(0.22):
            words += self.relative(kind, number)
        return words

    def nominal(self, kind, number):
        """Put a noun after adjectives, and sometimes after another noun."""
        adjectives = self.adjective() if self.chance(0.3) else []
        modifier = self.noun("things", "Sing") if self.chance(0.08) else []
        return adjectives + modifier + self.noun(kind, number)

    def noun(self, kind, number):
        return _word(self.pick(lexicon.NOUNS[kind])[number == "Plur"], "NOUN", number)

    def adjective(self):
        table = lexicon.ATTRIBUTIVE if self.chance(0.15) else lexicon.ADJECTIVES
        return self.one_of("ADJ", table)

    def determiner(self, number):
        match self.pick(_DETERMINERS):
            case "demonstrative":
                return self.one_of("DET", lexicon.DEMONSTRATIVES[number], number)
            case "possessive":
                _, _, form, _, own_number, _ = self.pick(lexicon.PRONOUNS)
                return _word(form, "PRON", own_number)
            case "number":
                return _word("one" if number == "Sing" else self.pick(lexicon.NUMERALS), "NUM")
            case _:
                return self.one_of("DET", lexicon.DETERMINERS[number])

    def relative(self, kind, number):
        who = "who" if kind == "beings" else "which"
        opening = _word("that" if self.chance(0.7) else who, "PRON")
        if self.chance(0.6):
            return opening + self.predicate(3, number, depth=0)
        words, person, agreement = self.noun_phrase("subject", depth=0)
        auxiliary, rest = self.verb_group("gap", person, agreement, _VERB_GROUPS)
        return opening + words + auxiliary + rest
