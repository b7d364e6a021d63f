"""The page of a report, as strictly as a parser can be: well-formed XML and HTML, nothing to load or run, every tensor of
the model with one row. In: the page, what `inspect --json` says of the model. Out: "page is well", or what is not, exit 1."""
import json
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser


class Tags(HTMLParser):
    """Open tags, closed in order; what HTML makes of the page as well."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.add(tag)
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"{tag}: an attribute twice"
        for name in names:
            assert name not in ("src", "href", "style") and not name.startswith("on"), f"{tag}: attribute {name}"

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()


def main(page_path, model_path):
    with open(page_path, encoding="utf-8") as file:
        page = file.read()
    root = ElementTree.fromstring(page)
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert not tags.open, f"not closed: {tags.open}"
    assert not tags.seen & {"script", "link", "img", "iframe", "object", "embed"}, tags.seen
    assert "@import" not in page and "url(" not in page and "//" not in page, "something to load"
    with open(model_path, encoding="utf-8") as file:
        names = sorted(tensor["name"] for tensor in json.load(file)["tensors"])
    rows = [cell.text for section in root.iter("section") if section.find("h2").text == "Every tensor"
            for cell in section.iter("th") if cell.get("scope") == "row"]
    assert sorted(rows) == names, f"rows of tensors: {sorted(rows)}, expected {names}"
    linears = [name for name in names if name.startswith("blocks.") and not name.endswith("norm")]
    for title in ("Error of the weights",):
        cells = [cell.find("title").text.split(":")[0] for svg in root.iter("svg") if svg.find("title").text == title
                 for cell in svg.iter("rect")]
        assert sorted(cells) == linears, f"cells of '{title}': {sorted(cells)}, expected {linears}"
    print("page is well")


if __name__ == "__main__":
    main(*sys.argv[1:])
