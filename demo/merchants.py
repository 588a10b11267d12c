"""About 150 merchants that don't exist, by category, country and the currency that they bill in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Category:
    """Hold a kind of shop: ISO 18245 code, price range in euro cents, how often people go there, what such shops are called."""

    key: str
    code: str
    low_cents: int
    high_cents: int
    weight: int
    names: tuple[str, ...]


CATEGORIES: tuple[Category, ...] = (
    Category("groceries", "5411", 640, 9_400, 26, ("Fresh Market", "Greengrocers", "Pantry", "Food Hall")),
    Category("coffee", "5814", 260, 890, 18, ("Coffee House", "Espresso Bar", "Roasters", "Bakery Cafe")),
    Category("restaurant", "5812", 1_150, 8_900, 12, ("Kitchen", "Bistro", "Noodle House", "Grill")),
    Category("transit", "4111", 230, 1_250, 10, ("Metro Tickets", "Regional Rail", "City Buses")),
    Category("fuel", "5541", 2_200, 9_800, 5, ("Fuel Stop", "Petrol Station")),
    Category("pharmacy", "5912", 420, 5_600, 6, ("Pharmacy", "Apothecary")),
    Category("clothing", "5651", 1_500, 16_500, 6, ("Clothing", "Outfitters")),
    Category("electronics", "5732", 1_900, 68_000, 3, ("Electronics", "Computer Works")),
    Category("books", "5942", 650, 6_500, 4, ("Books", "Stationers")),
    Category("online", "5999", 790, 24_000, 8, ("Online Store", "Web Shop")),
    Category("taxi", "4121", 700, 4_900, 4, ("Cabs", "Ride Share")),
    Category("travel", "4722", 5_900, 92_000, 2, ("Travel Agency", "Holidays")),
    Category("hotel", "7011", 6_500, 58_000, 2, ("Hotel", "Guest House")),
)
SUBSCRIPTION = Category("streaming", "4899", 590, 1_990, 0, ("Streaming", "Music Club"))
GYM = Category("gym", "7997", 1_990, 4_990, 0, ("Fitness Club",))
TELECOM = Category("telecom", "4814", 990, 4_900, 0, ("Mobile", "Broadband"))
UTILITY = Category("utility", "4900", 3_500, 14_500, 0, ("Power and Gas", "Water Works"))
LANDLORD = Category("landlord", "6513", 52_000, 138_000, 0, ("Lettings",))
GAMBLING = Category("gambling", "7995", 1_000, 20_000, 0, ("Online Casino",))
_BILLERS = (SUBSCRIPTION, GYM, TELECOM, UTILITY, LANDLORD, GAMBLING)

_STEMS = (
    "Amberline", "Bluefinch", "Cobblegate", "Dovetail", "Elderwick", "Fernhollow", "Goldleaf", "Harborlight",
    "Ivoryquay", "Juniperra", "Kestrelby", "Lanternfield", "Marlowsby", "Nordhafen", "Ottergrove", "Pebblemoor",
    "Quillstone", "Rookwater", "Saffronia", "Thistledown", "Umbravale", "Velvetine", "Willowmere", "Yarrowden",
    "Zephyrine", "Copperfjord", "Mistralto", "Solvane", "Tamarindo", "Wrenbridge",
)  # fmt: skip

# currency -> (country, town) of its shops. The last ones bill in currencies that no demo account has: they are abroad for all.
_TOWNS: dict[str, tuple[tuple[str, str], ...]] = {
    "EUR": (("DE", "Berlin"), ("DE", "Hamburg"), ("NL", "Utrecht"), ("FR", "Lyon"), ("ES", "Sevilla"), ("IT", "Bologna"),
            ("GR", "Athina"), ("AT", "Graz"), ("IE", "Cork"), ("PT", "Porto")),
    "GBP": (("GB", "Leeds"), ("GB", "London")),
    "USD": (("US", "Austin"), ("US", "Portland")),
    "JPY": (("JP", "Tokyo"), ("JP", "Osaka")),
    "KWD": (("KW", "Salmiya"),),
    "ABROAD": (("TR", "Istanbul"), ("PL", "Krakow"), ("NG", "Lagos"), ("IN", "Pune"), ("BR", "Sao Paulo"), ("MX", "Puebla"),
               ("KE", "Nairobi")),
}  # fmt: skip
_SHOPS_PER_CATEGORY = MappingProxyType({"EUR": 4, "GBP": 1, "USD": 1, "JPY": 1, "KWD": 1, "ABROAD": 0})


@dataclass(frozen=True, slots=True)
class Merchant:
    """Hold one merchant. `currency` is what it bills in, or ABROAD for one that no demo account shares."""

    merchant_id: str
    name: str
    category: Category
    country: str
    city: str
    currency: str

    @property
    def descriptor(self) -> str:
        """Return the line that a card statement shows."""
        return f"{self.name} {self.city}".upper()


def make_merchants(random: Random) -> tuple[Merchant, ...]:
    """Make the merchants: shops of every category for each currency area, billers, and some abroad."""
    merchants: list[Merchant] = []
    taken: set[str] = set()
    for currency, towns in _TOWNS.items():
        shops = [category for category in CATEGORIES for _ in range(_SHOPS_PER_CATEGORY[currency])]
        if currency == "ABROAD":
            shops = [category for category in CATEGORIES if category.key in {"restaurant", "hotel", "online", "electronics"}] * 2
        else:
            shops += [*_BILLERS, *(_BILLERS if currency == "EUR" else ())]
        for index, category in enumerate(shops):
            country, city = towns[index % len(towns)]
            merchants.append(
                Merchant(
                    merchant_id=f"mrc_{random.getrandbits(48):012x}",
                    name=_free_name(random, category, taken),
                    category=category,
                    country=country,
                    city=city,
                    currency=currency,
                )
            )
    return tuple(merchants)


def _free_name(random: Random, category: Category, taken: set[str]) -> str:
    while True:
        name = f"{random.choice(_STEMS)} {random.choice(category.names)}"
        if name not in taken:
            taken.add(name)
            return name
