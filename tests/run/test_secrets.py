"""A key stays in the environment, and what a model writes stays text, whatever an endpoint does."""

import asyncio
import json
import zipfile
from html.parser import HTMLParser

import nbformat
import pandas as pd
import pytest

from hvae_utils.ask.http.transport import NO_KEY, Transport
from tests.support.fake_endpoint import completion, serve
from tests.support.indiscreet import KEY, MODEL, SECRETS, hvae, reply, secretive


def everything(folder):
    """Yield (name, text) of every file below `folder`, with what is packed in it unpacked."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield path.name, pd.read_parquet(path).to_csv()
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path.name}/{name}", archive.read(name).decode()
        if path.is_file():
            yield path.name, path.read_bytes().decode("latin-1")


class Tags(HTMLParser):
    """Collects the elements and attributes of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.attributes = set(), set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        own_picture = tag == "img" and str(dict(attrs).get("src")).startswith(
            "data:image/png;base64,"
        )
        self.elements |= set() if own_picture else {tag}
        self.attributes.update(name for name, _ in attrs)


def test_a_secret_that_the_endpoint_echoes_is_in_no_file_and_in_nothing_said(indiscreet):
    assert {seen["_authorization"] for seen in indiscreet.asked} == {f"Bearer {KEY}"}
    texts = [("said", indiscreet.said), *everything(indiscreet.folder)]
    assert not [name for name, text in texts for secret in (KEY, *SECRETS) if secret in text]
    names = {name for name, _ in everything(indiscreet.folder)}
    assert {"records.jsonl", "manifest.json", "02_game_play.ipynb", "index.json"} <= names
    assert {"value_rationality.csv", "first.zip/records.jsonl"} <= names


def test_the_echoes_were_there_and_each_is_masked(indiscreet):
    lines = (indiscreet.run / "records.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record["model"] == MODEL]
    for field in ("text", "error", "finish_reason", "served_model", "top_logprobs"):
        masked = " ".join("***" for _ in (KEY, *SECRETS))
        assert any(masked in str(record[field]) for record in records), field
    responses = pd.read_parquet(indiscreet.run / "responses.parquet")
    conditions = pd.read_parquet(indiscreet.run / "conditions.parquet").set_index("condition_id")
    ours = responses["condition_id"].map(conditions["model"]) == MODEL
    assert "probabilities" in set(responses.loc[ours, "method"]), "the lists were read, too"


def test_the_models_are_listed_without_the_secrets_of_a_url(tmp_path):
    with serve(reply) as (url, _):
        listed = hvae(tmp_path, "models", OPENAI_BASE_URL=secretive(url))
    closed = hvae(tmp_path, "models", OPENAI_BASE_URL=secretive(url))
    assert "serves fake-1" in listed.stdout
    assert f"nothing answers at {url}  " in closed.stdout
    said = listed.stdout + listed.stderr + closed.stdout + closed.stderr
    assert not [secret for secret in SECRETS if secret in said]


def test_markup_in_replies_is_inert_in_the_executed_notebooks(indiscreet):
    shown = []
    for path in sorted((indiscreet.run / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                assert not {"application/javascript", "text/latex"} & set(data)
                shown.append(data.get("text/html", ""))
                ours = data.get("text/markdown", "")  # sentences of the workbook, no reply in them
                assert not [mark for mark in "<>&" if mark in ours]
    for html in shown:
        tags = Tags(html)
        assert not tags.elements & {"script", "img", "iframe", "object", "embed", "link"}
        assert not [name for name in tags.attributes if name.startswith("on")]
    escaped = "&lt;script&gt;alert("
    assert sum(escaped in html for html in shown) >= 3, "dialogue, goals and replies are shown"


def test_a_refused_key_is_named_in_no_message_and_no_traceback(tmp_path):
    def refuses(seen):
        if "nothing else" in str(seen["messages"]):  # the check before the first notebook
            return 200, completion("C")
        return 401, {"error": {"message": f"wrong key {seen['_authorization']}"}}

    with serve(refuses) as (url, asked):
        run = hvae(
            tmp_path, "reproduce", "--profile", "smoke", "--set", f"models={MODEL}",
            "--runs", "runs", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url,
        )  # fmt: skip
    assert asked
    assert run.returncode == 3, run.stderr
    assert "refuses the key" in run.stderr
    texts = dict(everything(tmp_path))
    assert "EndpointError" in texts["01_value_assignment.ipynb"], "the traceback is there"
    assert KEY not in run.stdout + run.stderr + "".join(texts.values())


@pytest.mark.parametrize("placeholder", [NO_KEY, "x", "EMPTY"])
def test_a_placeholder_for_a_key_is_left_in_an_honest_reply(placeholder):
    said = f"A key is {placeholder}, for example."

    async def reply(url):
        async with Transport(f"{url}", placeholder, 5.0) as transport:
            return await transport.post({"messages": []})

    with serve(lambda seen: (200, completion(said))) as (url, _):
        answer = asyncio.run(reply(url))
    assert answer["choices"][0]["message"]["content"] == said


def test_a_key_with_slashes_is_masked_as_json_may_write_it():
    key = "abcd/efgh/ijkl"
    body = json.dumps(completion(f"the key is {key}")).replace("/", "\\/").encode()

    async def reply(url):
        async with Transport(f"{url}", key, 5.0) as transport:
            return await transport.post({"messages": []})

    with serve(lambda seen: (200, body)) as (url, _):
        answer = asyncio.run(reply(url))
    assert answer["choices"][0]["message"]["content"] == "the key is ***"
