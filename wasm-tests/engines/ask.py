"""Asks the released SDK of a flag engine, offline and with a payload of its own.

Standard input: {"engine": NAME, "settings": {...}, "split": [{VARIANT: WEIGHT}, ...], "keys": [...]},
settings and split as in the filter's configuration; a key of null is a client without one.
Standard output: a variant for each key, null where the engine leaves the client out.
"""

import json
import logging
import sys
import tempfile


def growthbook(settings, split, keys):
    from growthbook import GrowthBook

    names = [name for name, _ in split]
    rule = {"key": settings["seed"], "variations": names, "weights": [w for _, w in split], **settings}
    features = {"flag": {"defaultValue": None, "rules": [rule]}}
    for key in keys:
        engine = GrowthBook(attributes={} if key is None else {"id": key}, features=features)
        yield engine.get_feature_value("flag", None)
        engine.destroy()


def unleash(settings, split, keys):
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    variants = [
        {"name": name, "weight": weight, "stickiness": "userId", "weightType": "fix"}
        for name, weight in split
    ]
    parameters = {
        "groupId": settings["groupId"],
        "rollout": str(settings.get("rollout", 100)),
        "stickiness": "userId",
    }
    strategy = {"name": "flexibleRollout", "parameters": parameters, "variants": variants}
    flag = {"name": "flag", "enabled": True, "strategies": [strategy]}
    with tempfile.TemporaryDirectory() as folder:
        cache = FileCache("offline", directory=folder)
        cache.bootstrap_from_dict({"version": 2, "features": [flag]})
        client = UnleashClient(
            "http://127.0.0.1:9/", "offline", disable_metrics=True, disable_registration=True, cache=cache
        )
        client.initialize_client(fetch_toggles=False)
        for key in keys:
            variant = client.get_variant("flag", {} if key is None else {"userId": key})
            yield variant["name"] if variant["enabled"] else None
        client.destroy()


def launchdarkly(settings, split, keys):
    from ldclient import Config, Context, LDClient
    from ldclient.integrations import Files

    rollout = {
        "kind": "rollout",
        "bucketBy": "user",
        "variations": [{"variation": i, "weight": weight} for i, (_, weight) in enumerate(split)],
    }
    if "seed" in settings:
        rollout["seed"] = settings["seed"]
    flag = {
        "key": settings.get("flag", "flag"),
        "salt": settings.get("salt", "salt"),
        "version": 1,
        "on": True,
        "variations": [name for name, _ in split],
        "fallthrough": {"rollout": rollout},
        "targets": [],
        "rules": [],
        "prerequisites": [],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"flags": {flag["key"]: flag}}, file)
        file.flush()
        source = Files.new_data_source(paths=[file.name])
        client = LDClient(
            Config("sdk-key", update_processor_class=source, send_events=False, diagnostic_opt_out=True)
        )
        for key in keys:
            context = Context.builder("somebody")
            if key is not None:
                context.set("user", key)
            yield client.variation(flag["key"], context.build(), None)
        client.close()


def flagd(settings, split, keys):
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext

    text = {"cat": [settings["prefix"], {"var": "user"}]}
    flag = {
        "state": "ENABLED",
        "variants": {name: name for name, _ in split},
        "defaultVariant": None,
        "targeting": {
            "if": [{"var": "user"}, {"fractional": [text, *[list(pair) for pair in split]]}, None]
        },
    }
    core = FlagdCore()
    core.set_flags({"flags": {"flag": flag}})
    for key in keys:
        context = EvaluationContext("somebody", {} if key is None else {"user": key})
        answer = core.resolve_string_value("flag", "", context)
        yield answer.variant if answer.variant else None


def posthog(settings, split, keys):
    from posthog import Posthog

    variants = [{"key": name, "rollout_percentage": percent} for name, percent in split]
    group = {"properties": [], "rollout_percentage": settings.get("rollout", 100)}
    flag = {
        "id": 1,
        "key": settings["flag"],
        "active": True,
        "filters": {"groups": [group], "multivariate": {"variants": variants}},
    }
    client = Posthog("offline", host="http://127.0.0.1:9", disabled=False, send=False)
    client.feature_flags = [flag]
    for key in keys:
        # The SDK asks for a distinct id: without one there is nobody to ask about.
        if key is None:
            yield None
            continue
        value = client.get_feature_flag(
            flag["key"], key, only_evaluate_locally=True, send_feature_flag_events=False
        )
        yield value if isinstance(value, str) else None


logging.disable(logging.CRITICAL)
asked = json.load(sys.stdin)
sdk = {sdk.__name__: sdk for sdk in (growthbook, unleash, launchdarkly, flagd, posthog)}[asked["engine"]]
pairs = [pair for one in asked["split"] for pair in one.items()]
answers = list(sdk(asked["settings"], pairs, asked["keys"]))
json.dump(answers, sys.stdout)
sys.stdout.flush()
