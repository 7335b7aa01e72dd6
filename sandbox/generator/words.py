"""Word lists for generated events. The people are fictitious; `example` domains are reserved (RFC 2606)."""

FIRST_NAMES = (
    "Amara", "Bjørn", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Inés", "Jonas", "Kwame", "Léa", "Mei",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Uma", "Viktor", "Wanjiru", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Abebe", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ivanov", "Jansen", "Kim", "Larsen",
    "Moreau", "Nguyen", "Okafor", "Patel", "Quispe", "Rossi", "Suzuki", "Tanaka", "Urban", "Virtanen", "Wang", "Yılmaz",
)  # fmt: skip
CITIES = (
    ("Accra", "GH"), ("Amsterdam", "NL"), ("Berlin", "DE"), ("Bogotá", "CO"), ("Cape Town", "ZA"), ("Chennai", "IN"),
    ("Dublin", "IE"), ("Hanoi", "VN"), ("Istanbul", "TR"), ("Kraków", "PL"), ("Kyoto", "JP"), ("Lagos", "NG"),
    ("Lima", "PE"), ("Lisbon", "PT"), ("London", "GB"), ("Melbourne", "AU"), ("Montréal", "CA"), ("Nairobi", "KE"),
    ("New York", "US"), ("Oslo", "NO"), ("Paris", "FR"), ("Rome", "IT"), ("São Paulo", "BR"), ("Seoul", "KR"),
    ("Singapore", "SG"), ("Vienna", "AT"), ("Zürich", "CH"),
)  # fmt: skip
ITEMS = (
    "ham sandwich", "cheese toastie", "flat white", "croissant", "bowl of ramen", "slice of carrot cake",
    "jalapeño burrito", "train pass", "paperback", "bunch of tulips", "pair of running shoes", "bicycle repair",
    "concert ticket", "desk lamp", "rain jacket", "coffee grinder", "notebook", "house plant",
)  # fmt: skip
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "INR", "BRL", "PLN", "CHF")
PATHS = (
    "/", "/search", "/cart", "/checkout", "/login", "/help", "/products/lamp", "/products/jacket", "/products/shoes",
    "/products/notebook", "/account/orders", "/news",
)  # fmt: skip
PLAIN_WORDS = (
    "amber", "birch", "cloud", "delta", "ember", "fjord", "grain", "harbour", "island", "jasmine", "kernel", "lantern",
    "meadow", "north", "orbit", "pebble", "quartz", "river", "signal", "timber", "umbra", "velvet", "willow", "zephyr",
)  # fmt: skip
