"""What azd is told to make: every setting that the app reads and none besides, the roles that are meant, no secret."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytest.importorskip("pycep", reason="pycep-parser is not installed")

from tests.infra.templates import (  # what comes before decides whether these can be imported
    FILES,
    INFRA,
    ROOT,
    Tree,
    app_settings,
    body,
    module,
    only,
    queries_of,
    resources,
    tree,
)
from webhook.settings import SECRET, SECRET_PREVIOUS, STORAGE_CONNECTIONS, Settings

MAIN = INFRA / "main.bicep"

FOR_THE_HOST = {
    "AzureWebJobsStorage__blobServiceUri": "where the host keeps its keys and leases",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "where the log goes",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "by which identity it goes there",
}
"""Settings that the Functions host reads, and the app does not."""

ROLES = {
    # https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "storageTableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "storageTableDataReader": "76199698-9eea-4c19-bc75-cec21354c6b6",
    "keyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "keyVaultSecretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}

NOT_ON_FLEX = {
    # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
    "AzureWebJobsStorage",
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_RUN_FROM_PACKAGE",
}


class Watched(Mapping[str, str]):
    """Settings that remember which of them were asked for."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings, self.asked = settings, set[str]()

    def __getitem__(self, name: str) -> str:
        """Give a setting."""
        self.asked.add(name)
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(self._settings)

    def __len__(self) -> int:
        """Count them."""
        return len(self._settings)


def resolved() -> dict[str, str]:
    """Give the app settings as the app finds them, once Azure has filled in what they name."""
    filled = {
        "blobServiceUri": "https://st1.blob.core.windows.net/",
        "tableServiceUri": "https://st1.table.core.windows.net/",
        "identityClientId": "00000000-1111-2222-3333-444444444444",
        "applicationInsightsConnectionString": "InstrumentationKey=00000000-1111-2222-3333-444444444444",
    }
    settings = {name: filled.get(value, value) for name, value in app_settings().items()}
    return settings | {SECRET: "the-current-secret", SECRET_PREVIOUS: "the-current-secret"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_parses(path: Path) -> None:
    """The compiler is not everywhere; a brace that is missing is found all the same."""
    assert {"resources", "modules"} & tree(path).keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_parameter_is_described(path: Path) -> None:
    """The description is what azd and the portal show to whoever has to give it."""
    for name, parameter in tree(path)["parameters"].items():
        assert [each for each in parameter["decorators"] if each["type"] == "description"], name


def test_no_module_comes_from_a_registry() -> None:
    """It compiles without a network, and what is deployed can be read here."""
    modules = tree(MAIN)["modules"]

    assert {each["type"] for each in modules.values()} == {"local"}
    assert {(INFRA / each["detail"]["path"]).resolve() for each in modules.values()} == set(FILES) - {MAIN}


def test_every_module_is_given_exactly_its_parameters() -> None:
    """A parameter that nobody gives would fall back to nothing; one that is not there stops the deployment."""
    for declaration in tree(MAIN)["modules"].values():
        declared = tree((INFRA / declaration["detail"]["path"]).resolve())["parameters"]

        assert body(declaration)["params"].keys() == declared.keys(), declaration["detail"]["path"]


def test_every_output_that_is_used_is_one_that_the_module_has() -> None:
    """A misspelt output is found by the compiler, which is not everywhere."""
    names = {name: (INFRA / each["detail"]["path"]).resolve() for name, each in tree(MAIN)["modules"].items()}

    for name, output in re.findall(r"\b(\w+)!?\.outputs\.(\w+)", MAIN.read_text("utf-8")):
        assert output in tree(names[name])["outputs"], f"{name}.{output}"


def test_every_parameter_that_azd_fills_in_is_one_and_none_is_a_secret() -> None:
    """Values of parameters are kept in plain text, by azd and in the history of deployments."""
    given = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    declared = tree(MAIN)["parameters"]

    assert given.keys() <= declared.keys()
    assert {name for name, each in declared.items() if each["default"] is None} <= given.keys()
    for path in FILES:
        assert not [name for name in tree(path)["parameters"] if re.search("secret|password|key", name, re.IGNORECASE)]


def test_no_output_holds_a_secret() -> None:
    """Outputs stay in the history of deployments, and azd writes them to a file."""
    for path in FILES:
        for name, output in tree(path).get("outputs", {}).items():
            text = json.dumps(output)
            assert not re.search(r"listKeys|list_keys|listSecrets|getSecret|secret", text, re.IGNORECASE), name
    assert not [each for each in resources() if each["type"] == "Microsoft.KeyVault/vaults/secrets"]


def test_the_outputs_are_what_the_scripts_and_azd_read() -> None:
    """The hooks and rotate-secret find the app by these."""
    outputs = tree(MAIN)["outputs"].keys()
    (names,) = re.findall(r"for name in (.+); do", (INFRA / "secret.sh").read_text("utf-8"))

    assert set(names.split()) - {"AZURE_SUBSCRIPTION_ID"} <= outputs  # that one azd knows by itself


def test_every_setting_is_read_and_every_required_one_is_set() -> None:
    """A setting with a typing error would leave the app without its tables, or the publisher with a belief."""
    watched = Watched(resolved())
    settings = Settings.from_mapping(watched)

    assert watched.keys() - watched.asked == FOR_THE_HOST.keys()
    assert {SECRET, SECRET_PREVIOUS} <= watched.keys()
    assert settings.problems == settings.warnings == ()


def test_the_app_finds_its_tables_by_its_identity_and_by_nothing_else() -> None:
    """There is no key that could leak, and no other identity that could be tried."""
    storage = Settings.from_mapping(resolved()).storage

    assert storage
    assert storage.connection in STORAGE_CONNECTIONS
    assert storage.connection_string is None
    assert storage.table_service_uri == "https://st1.table.core.windows.net"
    assert storage.managed_identity
    assert storage.client_id


def test_no_setting_is_one_that_the_plan_does_not_take() -> None:
    """A deployment that names one of them is refused, or worse, half believed."""
    assert not app_settings().keys() & NOT_ON_FLEX


def test_the_secrets_are_references_without_a_version_to_the_names_that_the_scripts_use() -> None:
    """With a version, a rotation would never arrive; under another name, the app would answer 500 to everything."""
    script = (INFRA / "secret.sh").read_text("utf-8")
    names = dict(re.findall(r"\b(CURRENT|PREVIOUS)=([\w-]+)", script))

    for setting, name in ((SECRET, names["CURRENT"]), (SECRET_PREVIOUS, names["PREVIOUS"])):
        assert app_settings()[setting] == f"@Microsoft.KeyVault(SecretUri=${{vaultUri}}secrets/{name})"


def test_the_roles_are_the_ones_that_are_meant() -> None:
    """A role ID says nothing to a reader; a wrong one may be Owner."""
    written = {
        name: variable["value"]
        for path in FILES
        for name, variable in tree(path).get("variables", {}).items()
        if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(variable["value"]))
    }

    assert written == ROLES


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("storage", {"storageBlobDataOwner", "storageTableDataContributor"}),
        ("vault", {"keyVaultSecretsUser"}),
        ("monitoring", {"monitoringMetricsPublisher"}),
    ],
)
def test_the_app_holds_exactly_the_roles_that_it_needs(name: str, held: set[str]) -> None:
    """What a stolen token may do is what these allow."""
    roles = {
        re.findall("|".join(ROLES), json.dumps(body(each)["properties"]["roleDefinitionId"]))[0]
        for each in module(name)["resources"].values()
        if each["type"] == "Microsoft.Authorization/roleAssignments"
        and body(each)["properties"]["principalId"] == "appPrincipalId"
    }

    assert roles == held


def test_only_three_modules_assign_roles_and_each_to_one_resource() -> None:
    """A role on the group or the subscription would reach whatever is put there later."""
    for path in FILES:
        for each in tree(path).get("resources", {}).values():
            if each["type"] == "Microsoft.Authorization/roleAssignments":
                assert path.stem in {"storage", "vault", "monitoring"}
                assert body(each)["scope"] in {"account", "vault", "component"}


def test_the_function_app_is_as_closed_as_it_can_be() -> None:
    """HTTPS only, TLS 1.2, no FTP, no passwords, no debugger."""
    site = only("Microsoft.Web/sites")["properties"]
    policies = [body(each) for each in resources() if each["type"].endswith("/basicPublishingCredentialsPolicies")]

    assert site["httpsOnly"] is True
    assert site["siteConfig"]["minTlsVersion"] == site["siteConfig"]["scmMinTlsVersion"] == "1.2"
    assert site["siteConfig"]["ftpsState"] == "Disabled"
    assert site["siteConfig"]["remoteDebuggingEnabled"] is False
    assert {each["name"]: each["properties"]["allow"] for each in policies} == {"ftp": False, "scm": False}


def test_the_function_app_is_what_was_measured_and_tested() -> None:
    """Flex Consumption, the Python of the tests, and a concurrency that the benchmark has seen."""
    plan, site = only("Microsoft.Web/serverfarms"), only("Microsoft.Web/sites")
    config = site["properties"]["functionAppConfig"]
    concurrency = tree(MAIN)["parameters"]["perInstanceConcurrency"]["default"]
    measured = json.loads((ROOT / "bench/results.json").read_text("utf-8"))["throughput"]["by_in_flight"]

    assert plan["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["scaleAndConcurrency"]["instanceMemoryMB"] == 2048
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert concurrency == max(map(int, measured))
    assert measured[str(concurrency)]["webhook"]["p99_ms"] < 1_000  # every answer has 8 seconds


def test_the_storage_account_has_no_keys_and_is_not_public() -> None:
    """Every access is by identity, and its log names it."""
    account = only("Microsoft.Storage/storageAccounts")["properties"]
    container = only("Microsoft.Storage/storageAccounts/blobServices/containers")

    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["supportsHttpsTrafficOnly"] is True
    assert container["properties"]["publicAccess"] == "None"


def test_the_lock_is_there_when_it_is_asked_for() -> None:
    """Table storage has no way back from a deletion."""
    (lock,) = [each for each in resources() if each["type"] == "Microsoft.Authorization/locks"]

    assert lock["config"]["condition"] == "deletionProtection"
    assert body(lock)["scope"] == "account"
    assert body(lock)["properties"]["level"] == "CanNotDelete"
    assert tree(MAIN)["parameters"]["deletionProtection"]["default"] is False


def test_telemetry_is_by_identity_and_is_not_sampled_away() -> None:
    """A log line that is dropped is an alert that never comes; one that anybody can write is an alert too many."""
    component = only("Microsoft.Insights/components")["properties"]
    workspace = only("Microsoft.OperationalInsights/workspaces")["properties"]
    host = json.loads((ROOT / "host.json").read_text("utf-8"))

    assert component["DisableLocalAuth"] is True
    assert workspace["features"]["disableLocalAuth"] is True
    assert component["SamplingPercentage"] == 100
    assert app_settings()["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].endswith(";Authorization=AAD")
    excluded = host["logging"]["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")
    assert {"Request", "Trace"} <= set(excluded)


def test_nothing_writes_query_strings_down() -> None:
    """The query string is the secret: neither request telemetry nor a diagnostic category may hold it."""
    host = (ROOT / "host.json").read_text("utf-8")
    settings = [body(each) for each in resources() if each["type"] == "Microsoft.Insights/diagnosticSettings"]

    assert "enableQueryStringTracing" not in host
    assert [each["scope"] for each in settings] == ["vault"]
    assert [log["category"] for each in settings for log in each["properties"]["logs"]] == ["AuditEvent"]
    assert "AppServiceHTTPLogs" in (INFRA / "modules/function.bicep").read_text("utf-8")  # it says why there is none


def test_azd_finds_the_app_by_its_tag() -> None:
    """Without the tag, azd makes everything and then does not know where to deploy."""
    text = MAIN.read_text("utf-8")
    service = re.findall(r"^  (\w+):$", (ROOT / "azure.yaml").read_text("utf-8").split("services:")[1], re.MULTILINE)[0]

    assert f"'azd-service-name': '{service}'" in text
    assert "'azd-env-name': environmentName" in text


def test_private_networking_covers_every_service_that_the_app_uses() -> None:
    """A service that is left out would be refused, and with it every event."""
    services = module("endpoints")["variables"]["services"]["value"]
    used = {re.sub(r"^.*__(\w+)ServiceUri$", r"\1", name) for name in app_settings() if name.endswith("ServiceUri")}
    conditional = {name for name, each in tree(MAIN)["modules"].items() if "condition" in each["config"]}

    assert set(services) == used
    assert conditional == {"network", "endpoints"}
    assert tree(MAIN)["parameters"]["privateNetworking"]["default"] is False


def rules() -> list[Tree]:
    """Give the alert rules."""
    found: list[Tree] = module("alerts")["variables"]["rules"]["value"]
    return found


def test_every_query_is_used_and_every_one_used_is_there() -> None:
    """A query that nobody asks is not watched by anybody."""
    files = {path.stem for path in (INFRA / "queries").glob("*.kql")}

    assert {*queries_of("alerts"), *queries_of("workbook")} == files
    assert [each["name"] for each in rules()] == [each for each in queries_of("alerts") if each != "calls"]


def test_the_alerts_look_as_far_and_as_often_as_they_say() -> None:
    """A window that is not longer than the time between two looks loses what arrives late."""
    minutes = {"PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "P1D": 24 * 60, "P2D": 2 * 24 * 60}
    by_name = {each["name"]: each for each in rules()}

    assert all(minutes[each["window"]] > minutes[each["frequency"]] for each in rules())
    assert by_name["refused"]["window"] == "PT15M"
    assert minutes[by_name["server-errors"]["window"]] > 10 * 60  # for so long, one failure may be all that there is
    assert minutes[by_name["stuck"]["window"]] > 2 * 60


def test_a_query_that_begins_with_calls_is_sent_with_its_definition() -> None:
    """Without it, the rule fails at every evaluation, and nobody is told."""
    text = (INFRA / "modules/alerts.bicep").read_text("utf-8")
    sent = dict.fromkeys(re.findall(r"query: '\$\{calls\}\$\{loadTextContent\('../queries/([\w-]+)\.kql'\)\}'", text))
    using = [
        name
        for name in queries_of("alerts")
        if name != "calls" and re.search(r"^calls$", (INFRA / f"queries/{name}.kql").read_text("utf-8"), re.MULTILINE)
    ]

    assert list(sent) == using
    assert len(using) == 5


def test_a_host_that_does_not_start_is_seen_by_what_azure_counts() -> None:
    """It writes no log, and its 503 come from Azure's front end: all five rules over the log would be silent."""
    (alert,) = [body(each) for each in resources() if each["type"] == "Microsoft.Insights/metricAlerts"]
    (criterion,) = alert["properties"]["criteria"]["allOf"]

    assert alert["properties"]["scopes"] == ["appId"]
    assert (criterion["metricNamespace"], criterion["metricName"]) == ("Microsoft.Web/sites", "Http5xx")
    assert (criterion["timeAggregation"], criterion["operator"]) == ("Total", "GreaterThan")
    assert alert["properties"]["windowSize"] == "PT6H"  # which leaves 4 of the 10 hours


def test_mail_is_sent_only_where_there_is_an_address() -> None:
    """An action group without a receiver is refused."""
    (group,) = [each for each in resources() if each["type"] == "Microsoft.Insights/actionGroups"]

    assert json.dumps(group["config"]["condition"]).count("email") == 1
    assert tree(MAIN)["parameters"]["alertEmail"]["default"] == ""


def test_api_versions_are_stable_ones() -> None:
    """A preview may change under a running deployment. Diagnostic settings have never had anything else."""
    previews = {each["type"] for each in resources() if "preview" in each["api_version"]}

    assert previews == {"Microsoft.Insights/diagnosticSettings"}
