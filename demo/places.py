"""Streets, towns, languages and time of day by country, for addresses that lead nowhere."""

from __future__ import annotations

from random import Random
from types import MappingProxyType

# country -> (language, streets, (town, postcode) pairs). House numbers are drawn above those that exist on short streets.
_PLACES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "AE": ("en", ("Al Noor Street", "Palm Grove Road"), ("Dubai", "Sharjah")),
    "AT": ("de", ("Lindengasse", "Am Mühlbach"), ("1070 Wien", "8010 Graz")),
    "BE": ("fr", ("Rue du Tilleul", "Rue des Moulins"), ("1000 Bruxelles", "4000 Liège")),
    "BR": ("pt", ("Rua das Acácias", "Rua do Ipê"), ("01000-000 São Paulo", "30100-000 Belo Horizonte")),
    "DE": ("de", ("Ahornweg", "Nelkenstraße", "Birkenallee"), ("10115 Berlin", "20095 Hamburg", "50667 Köln", "80331 München")),
    "ES": ("es", ("Calle del Almendro", "Calle Nueva"), ("28001 Madrid", "41001 Sevilla")),
    "FR": ("fr", ("rue des Lilas", "allée des Tilleuls"), ("69001 Lyon", "75011 Paris", "44000 Nantes")),
    "GB": ("en", ("Elm Grove", "Quarry Lane", "Station Road"), ("London N1 0AA", "Leeds LS1 0AA", "Cardiff CF10 0AA")),
    "GR": ("el", ("Odos Elias", "Odos Thymariou"), ("105 51 Athina", "546 21 Thessaloniki")),
    "IE": ("en", ("Hawthorn Terrace", "Mill Lane"), ("Dublin 2", "Cork")),
    "IN": ("en", ("Neem Street", "Lotus Marg"), ("Chennai 600001", "Pune 411001")),
    "IT": ("it", ("Via dei Gelsomini", "Via del Melograno"), ("20121 Milano", "40121 Bologna")),
    "JP": ("ja", ("Sakuragaoka 2-chome", "Midoricho 4-chome"), ("150-0000 Tokyo", "530-0000 Osaka")),
    "KE": ("en", ("Jacaranda Avenue", "Acacia Lane"), ("00100 Nairobi", "40100 Kisumu")),
    "KW": ("ar", ("Block 4 Street 12", "Block 7 Street 3"), ("Salmiya 22000", "Hawally 32000")),
    "MX": ("es", ("Calle Jacarandas", "Calle del Fresno"), ("06000 Ciudad de México", "44100 Guadalajara")),
    "NG": ("en", ("Iroko Close", "Palm Street"), ("Lagos 100001", "Ibadan 200001")),
    "NL": ("nl", ("Wilgenlaan", "Molenstraat"), ("1011 AA Amsterdam", "3011 AA Rotterdam")),
    "PL": ("pl", ("ul. Lipowa", "ul. Jaśminowa"), ("00-001 Warszawa", "30-001 Kraków")),
    "PT": ("pt", ("Rua da Figueira", "Rua das Oliveiras"), ("1100-001 Lisboa", "4000-001 Porto")),
    "TR": ("tr", ("Ihlamur Sokak", "Çınar Caddesi"), ("34000 İstanbul", "35000 İzmir")),
    "US": ("en", ("Juniper Drive", "Maple Hollow Road"), ("Springfield, IL 62701", "Portland, OR 97201", "Austin, TX 78701")),
    "VN": ("vi", ("Phố Hoa Sữa", "Đường Tre Xanh"), ("Hà Nội 100000", "Đà Nẵng 550000")),
}  # fmt: skip

HOME_CURRENCY = MappingProxyType({"GB": "GBP", "JP": "JPY", "KW": "KWD", "US": "USD"})
"""Customers elsewhere hold a euro account."""


def language_of(country: str) -> str:
    """Return the language that a customer of this country writes in."""
    return _PLACES[country][0]


def make_address(random: Random, country: str) -> str:
    """Make a one-line postal address with a house number that no such street has."""
    _, streets, towns = _PLACES[country]
    return f"{random.choice(streets)} {random.randrange(700, 1000)}, {random.choice(towns)}"
