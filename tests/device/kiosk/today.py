"""A day of an officer: who works, what is planned, the citizen's card, and pictures of nobody."""

from datetime import UTC, date, datetime
from io import BytesIO

from PIL import Image, ImageDraw

from device.agent.snapshot import Officer
from device.ports import Address, CardReading, Identity
from protocol import catalogue
from protocol.bag import BagVisit, Citizen, Place
from protocol.ids import new_ulid

AN = Officer("an.peeters", "An Peeters")
OFFICERS = (AN, Officer("bart.desmet", "Bart De Smet"))
NOW = datetime(2026, 11, 23, 8, 10, tzinfo=UTC)
ENTRY = catalogue.shipped()["be.eid.application"]

IDENTITY = Identity(
    national_number="45073012385",
    surname="Vandenbroucke",
    first_names="Maria Godelieve",
    third_initial="J",
    nationality="Belg",
    birth_place="Brugge",
    birth_date=date(1945, 7, 30),
    sex="F",
    noble_condition="",
    document_type=1,
    special_status=0,
    valid_from=date(2016, 12, 1),
    valid_to=date(2026, 12, 1),
    delivery_municipality="Brugge",
    duplicate="",
)
ADDRESS = Address("Sint-Jakobsstraat 41 bus 3", "8000", "Brugge")
CARD = CardReading("verified", applet="1.8", identity=IDENTITY, address=ADDRESS, genuine="proven")


def asked(visit_id: str, hour: int, name: str, street: str, note: str = "", language: str = "nl") -> BagVisit:
    return BagVisit(
        visit_id=visit_id,
        service_id="be.eid.application",
        tenant="0207527275",
        municipality="brugge",
        starts=f"2026-11-23T{hour:02}:00:00Z",
        ends=f"2026-11-23T{hour:02}:45:00Z",
        officer_id=AN.officer_id,
        language=language,
        citizen=Citizen(name=name, birth_date="1945-07-30", national_number="45073012385", phone=""),
        place=Place(street=street, postcode="8000", municipality="Brugge", note=note),
        evidence="",
    )


def day() -> tuple[BagVisit, ...]:
    """Three visits; their ids are new each time."""
    return (
        asked(new_ulid(), 8, "Maria Vandenbroucke", "Sint-Jakobsstraat 41 bus 3", "Bel twee keer: hond"),
        asked(new_ulid(), 9, "Georges Maes", "Woonzorgcentrum De Vliedberg, kamer 214", language="fr"),
        asked(new_ulid(), 12, "Lydia Claeys", "Langestraat 88"),
    )


def picture(width: int, height: int, kind: str = "JPEG") -> bytes:
    """A plain head before a light wall, or a line of ink."""
    image = Image.new("RGB", (width, height), "#e9e6df")
    draw = ImageDraw.Draw(image)
    w, h = width, height
    draw.ellipse((w * 0.12, h * 0.78, w * 0.88, h * 1.5), fill="#58708a")
    draw.rectangle((w * 0.42, h * 0.6, w * 0.58, h * 0.85), fill="#d9ab8a")
    draw.ellipse((w * 0.3, h * 0.18, w * 0.7, h * 0.72), fill="#e3b795")
    draw.pieslice((w * 0.28, h * 0.13, w * 0.72, h * 0.62), 180, 360, fill="#b9b4ad")
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


INK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 160">'
    '<path d="M30 110c30-80 60-100 70-86s-40 96-18 98c26 2 50-70 68-66s-12 62 6 64c20 2 30-48 46-44'
    's-2 42 14 42 30-36 50-36 20 30 60 22" fill="none" stroke="#16242c" stroke-width="5"/></svg>'
)
