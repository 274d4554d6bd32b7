# SPDX-License-Identifier: BSD-3-Clause
"""The words of `make_tagged_words`: some 300 entries, chosen for being ambiguous.

A verb is ``(base, third person, past, past participle, present participle)``, a noun is
``(singular, plural)``. A word that may be several parts of speech stands in several tables; the
grammar, which knows what it is building, is what decides the tag.
"""


def _rows(table):
    """Read one entry a line, its forms separated by spaces."""
    return tuple(tuple(line.split()) for line in table.strip().splitlines())


# Verbs -------------------------------------------------------------------------------------------

BE = ("be", "is", "was", "been", "being")
HAVE = ("have", "has", "had", "had", "having")
DO = ("do", "does", "did", "done", "doing")
# "be" alone agrees beyond the third person: (person, number, tense) -> form.
BE_FORMS = {
    (1, "Sing", "Pres"): "am",
    (2, "Sing", "Pres"): "are",
    (3, "Sing", "Pres"): "is",
    (1, "Plur", "Pres"): "are",
    (3, "Plur", "Pres"): "are",
    (1, "Sing", "Past"): "was",
    (2, "Sing", "Past"): "were",
    (3, "Sing", "Past"): "was",
    (1, "Plur", "Past"): "were",
    (3, "Plur", "Past"): "were",
}
MODALS = ("will", "can", "may", "might", "must", "should", "would", "could")

INTRANSITIVE = _rows("""
    rest rests rested rested resting
    play plays played played playing
    work works worked worked working
    wait waits waited waited waiting
    fall falls fell fallen falling
    sleep sleeps slept slept sleeping
    rise rises rose risen rising
    train trains trained trained training
    dream dreams dreamed dreamed dreaming
    cook cooks cooked cooked cooking
    fish fishes fished fished fishing
    dance dances danced danced dancing
    talk talks talked talked talking
    stop stops stopped stopped stopping
    duck ducks ducked ducked ducking
    lie lies lay lain lying
    smile smiles smiled smiled smiling
    rock rocks rocked rocked rocking
""")

MOTION = _rows("""
    run runs ran run running
    walk walks walked walked walking
    drive drives drove driven driving
    fly flies flew flown flying
    come comes came come coming
    go goes went gone going
    march marches marched marched marching
    ride rides rode ridden riding
    race races raced raced racing
    swim swims swam swum swimming
    step steps stepped stepped stepping
""")

TRANSITIVE = _rows("""
    see sees saw seen seeing
    saw saws sawed sawn sawing
    leave leaves left left leaving
    find finds found found finding
    light lights lit lit lighting
    watch watches watched watched watching
    guard guards guarded guarded guarding
    judge judges judged judged judging
    guide guides guided guided guiding
    fight fights fought fought fighting
    call calls called called calling
    visit visits visited visited visiting
    follow follows followed followed following
    paint paints painted painted painting
    mark marks marked marked marking
    book books booked booked booking
    order orders ordered ordered ordering
    cut cuts cut cut cutting
    box boxes boxed boxed boxing
    plant plants planted planted planting
    water waters watered watered watering
    test tests tested tested testing
    clean cleans cleaned cleaned cleaning
    dry dries dried dried drying
    open opens opened opened opening
    close closes closed closed closing
    warm warms warmed warmed warming
    cool cools cooled cooled cooling
    empty empties emptied emptied emptying
    free frees freed freed freeing
    calm calms calmed calmed calming
    hold holds held held holding
    keep keeps kept kept keeping
    ship ships shipped shipped shipping
    record records recorded recorded recording
    park parks parked parked parking
    heat heats heated heated heating
    welcome welcomes welcomed welcomed welcoming
    grind grinds ground ground grinding
    wind winds wound wound winding
    lay lays laid laid laying
    ring rings rang rung ringing
    bear bears bore borne bearing
    land lands landed landed landing
    lead leads led led leading
    hand hands handed handed handing
    like likes liked liked liking
    love loves loved loved loving
    fear fears feared feared fearing
    own owns owned owned owning
    need needs needed needed needing
    help helps helped helped helping
""")

CLAUSAL = _rows("""
    think thinks thought thought thinking
    know knows knew known knowing
    hope hopes hoped hoped hoping
    say says said said saying
    feel feels felt felt feeling
    fear fears feared feared fearing
    dream dreams dreamed dreamed dreaming
    answer answers answered answered answering
    report reports reported reported reporting
    see sees saw seen seeing
    find finds found found finding
    hear hears heard heard hearing
    doubt doubts doubted doubted doubting
""")

CONTROL = _rows("""
    want wants wanted wanted wanting
    hope hopes hoped hoped hoping
    plan plans planned planned planning
    try tries tried tried trying
    need needs needed needed needing
    like likes liked liked liking
    love loves loved loved loving
    promise promises promised promised promising
""")

# These describe a state, so they take no progressive.
STATIVE = frozenset({"have", "like", "love", "own", "need", "know", "want", "see", "fear", "find"})

# Nouns -------------------------------------------------------------------------------------------

BEINGS = _rows("""
    cook cooks
    guard guards
    judge judges
    guide guides
    patient patients
    human humans
    bear bears
    duck ducks
    fly flies
    swallow swallows
    fish fish
    sheep sheep
    dog dogs
    bird birds
    horse horses
    seal seals
    doctor doctors
    nurse nurses
    teacher teachers
    child children
    woman women
    man men
    friend friends
    worker workers
""")

THINGS = _rows("""
    saw saws
    light lights
    box boxes
    book books
    ship ships
    train trains
    plane planes
    plant plants
    rock rocks
    watch watches
    can cans
    will wills
    match matches
    rose roses
    leaf leaves
    letter letters
    report reports
    record records
    order orders
    mark marks
    wound wounds
    plan plans
    answer answers
    doubt doubts
    promise promises
    dream dreams
    drink drinks
    ring rings
    well wells
    lead leads
    bill bills
    hand hands
    step steps
    secret secrets
    present presents
    thought thoughts
    orange oranges
    table tables
    picture pictures
    lie lies
""")

PLACES = _rows("""
    park parks
    bank banks
    house houses
    garden gardens
    home homes
    square squares
    land lands
    hill hills
    street streets
    door doors
    river rivers
    well wells
    back backs
""")

EVENTS = _rows("""
    race races
    play plays
    walk walks
    run runs
    fight fights
    visit visits
    test tests
    call calls
    dance dances
    fall falls
    march marches
    talk talks
    rest rests
    stop stops
    cut cuts
    ride rides
    drive drives
    smile smiles
""")

MASS = tuple(
    "water work paint love fear hope rain snow ground help heat sleep might felt calm cold".split()
)
SIDES = ("left", "right")
PROPER = tuple(
    "Will Mark Rose Bill Grace Grant Frank May Hope Rob Drew Sue Pat Anna Tom Maria London Paris"
    " Turkey China".split()
)

# Adjectives, adverbs ---------------------------------------------------------------------------

ADJECTIVES = tuple(
    "light dry clean open warm cool calm empty slow clear free cold kind patient human fair fine"
    " early late fast hard still secret present close mean blind green orange round sound plain"
    " square welcome big small old young happy sad quiet strange sharp deep safe".split()
)
ATTRIBUTIVE = ("left", "right", "back", "past", "only", "last", "inside", "outside")
PREDICATIVE = ("well", "ready", "sorry", "afraid", "alone")
DEGREE = ("very", "so", "quite", "too")
BEFORE_VERB = ("often", "never", "always", "still", "only", "soon", "also")
AFTER_VERB = tuple("well hard fast early late quickly slowly here there again now".split())
PLACE_ADVERBS = ("there", "here", "inside", "outside")
DIRECTIONS = ("home", "back", "there", "inside", "outside", "away")

# Function words ----------------------------------------------------------------------------------

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
    "Sing": ("the", "the", "the", "a", "a", "every", "no", "another", "either", "each"),
    "Plur": ("the", "the", "the", "some", "no", "all", "both"),
    "Mass": ("the", "the", "some", "no", "all"),
}
NUMERALS = ("two", "three", "four", "ten")
WHERE = ("in", "near", "behind", "inside", "outside", "at")
ABOUT = ("with", "near", "behind", "of", "like", "from")
TIMES = ("before", "after", "until")
TOWARDS = ("to", "to", "past", "from")
SUBORDINATORS = ("because", "if", "while", "although", "before", "after", "until", "since")
