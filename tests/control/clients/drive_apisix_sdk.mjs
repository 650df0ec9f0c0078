// Every call of npm's apisix-sdk that asks a server, against the Admin API at argv[2] with the key argv[3] and the
// Control API at argv[4]; JSON of what came of each on standard output. argv[5] and argv[6]: a certificate and its key.
// Runs from .build/npm.
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [admin, apiKey, control, cert, key] = process.argv.slice(2);
const { createApisixSDK } = await import(pathToFileURL(resolve(".build/npm/node_modules/apisix-sdk/dist/index.mjs")));
console.warn = () => {};
const sdk = createApisixSDK({ adminAPI: { baseURL: admin, apiKey }, controlAPI: { baseURL: control } });
sdk.getClient().configureRetry({ maxAttempts: 1 });
const said = {};
const called = new Set();

async function call(part, method, ...given) {
  called.add(`${part}.${method}`);
  // It answers from a cache of its own for 30 s, also after a write.
  sdk.getClient().clearCache();
  const holder = part === "sdk" ? sdk : sdk[part];
  holder.clearCache?.();
  let name = `${part}.${method}`;
  for (let number = 2; name in said; number++) name = `${part}.${method} ${number}`;
  try {
    const result = await holder[method](...given);
    said[name] = result === undefined ? "undefined" : result;
    return result;
  } catch (problem) {
    said[name] = `Error: ${problem.message}`;
  }
}

const limit = { "limit-count": { count: 1, time_window: 60 } };
const upstream = { name: "u", type: "roundrobin", nodes: [{ host: "127.0.0.1", port: 80, weight: 1 }] };
const objects = {
  upstreams: [upstream, { ...upstream, retries: 2 }, { desc: "d" }],
  services: [{ name: "s", hosts: ["a.example"], upstream_id: "1" }, { name: "s2", upstream_id: "1" }, { desc: "d" }],
  routes: [
    { name: "r", uri: "/a", host: "a.example", methods: ["GET"], service_id: "1", plugins: limit, labels: { a: "b" } },
    { name: "r2", uri: "/b", host: "a.example", methods: ["GET"], upstream_id: "1" },
    { desc: "d" },
  ],
  consumerGroups: [{ plugins: limit, labels: { a: "b" } }, { plugins: limit }, { desc: "d" }],
  pluginConfigs: [{ plugins: limit, labels: { a: "b" } }, { desc: "d" }, null],
  globalRules: [{ plugins: limit }, { plugins: limit }, { plugins: limit }],
  ssl: [{ snis: ["a.example"], cert, key }, { snis: ["a.example"], cert, key }, { labels: { a: "b" } }],
  protos: [
    { desc: "p", content: 'syntax = "proto3"; message A { string a = 1; }' },
    { desc: "q", content: 'syntax = "proto3"; message B { string a = 1; }' },
    { desc: "d" },
  ],
  streamRoutes: [
    { server_port: 9100, server_addr: "10.0.0.1", remote_addr: "10.0.0.2", upstream_id: "1" },
    { server_port: 9101, upstream_id: "1", sni: "a.example" },
    { desc: "d" },
  ],
};
for (const [part, [made, again, patch]] of Object.entries(objects)) {
  await call(part, "create", made, "1");
  await call(part, "create", { ...made, ...(part === "ssl" ? { snis: ["b.example"] } : {}) });
  await call(part, "update", "1", again);
  if (sdk[part].patch) await call(part, "patch", "1", patch);
  await call(part, "get", "1");
  await call(part, "list");
  await call(part, "list", { page: 1, page_size: 10 });
  if (sdk[part].exists) await call(part, "exists", "1");
  if (sdk[part].exists) await call(part, "exists", "none");
  if (sdk[part].listPaginated) await call(part, "listPaginated", 1, 10);
  if (sdk[part].getStatistics) await call(part, "getStatistics");
}
// What only some parts have.
await call("upstreams", "findByName", "u");
await call("upstreams", "findByType", "roundrobin");
await call("upstreams", "addNode", "1", "127.0.0.2", 81, 3);
await call("upstreams", "updateNodeWeight", "1", "127.0.0.2", 81, 4);
await call("upstreams", "removeNode", "1", "127.0.0.2", 81);
await call("upstreams", "clone", "1", { name: "copy" }, "2");
await call("services", "findByName", "s");
await call("services", "findByHost", "a.example");
await call("services", "clone", "1", { name: "copy" }, "2");
await call("routes", "findByUri", "/b");
await call("routes", "findByMethod", "GET");
await call("routes", "findByHost", "a.example");
await call("routes", "disable", "1");
await call("routes", "enable", "1");
await call("routes", "clone", "1", { uri: "/c" }, "2");
for (const part of ["consumerGroups", "globalRules", "pluginConfigs"]) {
  await call(part, "addPlugin", "1", "ip-restriction", { whitelist: ["10.0.0.0/8"] });
  await call(part, "updatePlugin", "1", "ip-restriction", { whitelist: ["10.0.0.1/32"] });
  if (sdk[part].togglePlugin) await call(part, "togglePlugin", "1", "ip-restriction", false);
  if (sdk[part].findByPlugin) await call(part, "findByPlugin", "ip-restriction");
  await call(part, "removePlugin", "1", "ip-restriction");
  if (sdk[part].clone) await call(part, "clone", "1", ...(part === "pluginConfigs" ? ["2"] : [{ plugins: {} }, "2"]));
}
await call("consumerGroups", "findByLabel", "a", "b");
await call("consumerGroups", "addLabel", "1", "c", "d");
await call("consumerGroups", "removeLabel", "1", "c");
await call("pluginConfigs", "getByLabel", "a", "b");
await call("pluginConfigs", "export", "1");
await call("pluginConfigs", "import", JSON.stringify({ plugins: limit }), "3");
await call("ssl", "findBySNI", "a.example");
await call("ssl", "findByStatus", 1);
await call("ssl", "disable", "1");
await call("ssl", "enable", "1");
await call("ssl", "checkExpiration", "1");
await call("ssl", "getExpiringCertificates");
await call("ssl", "clone", "1", { snis: ["c.example"], cert, key }, "2");
await call("protos", "findByLabel", "a");
await call("protos", "clone", "1", {}, "2");
await call("protos", "createWithValidation", objects.protos[0], "3");
await call("streamRoutes", "findByServerAddress", "10.0.0.1");
await call("streamRoutes", "findByServerPort", 9101);
await call("streamRoutes", "findByProtocol", "redis");
await call("streamRoutes", "findBySNI", "a.example");
await call("streamRoutes", "findByRemoteAddress", "10.0.0.2");
await call("streamRoutes", "getByPlugin", "limit-conn");
await call("streamRoutes", "getByUpstreamId", "1");
await call("streamRoutes", "getByServiceId", "1");
await call("streamRoutes", "clone", "1", { server_port: 9102 }, "2");
for (const [number, method] of ["createTCPRoute", "createUDPRoute", "createTLSRoute"].entries())
  await call("streamRoutes", method, { server_port: 9110 + number, sni: "t.example", upstream_id: "1" }, `t${number}`);
await call("consumers", "create", { username: "jack", labels: { a: "b" } });
await call("consumers", "update", "jack", { username: "jack", desc: "d", labels: { a: "b" } });
await call("consumers", "patch", "jack", { desc: "e" });
await call("consumers", "get", "jack");
await call("consumers", "list");
await call("consumers", "exists", "jack");
await call("consumers", "exists", "none");
await call("consumers", "listPaginated", 1, 10);
await call("consumers", "findByLabel", "a", "b");
await call("consumers", "createCredential", "jack", "c1", { plugins: { "key-auth": { key: "k1" } } });
await call("consumers", "updateCredential", "jack", "c1", { plugins: { "key-auth": { key: "k2" } } });
await call("consumers", "getCredential", "jack", "c1");
await call("consumers", "addKeyAuth", "jack", "k3", "c2");
await call("consumers", "addBasicAuth", "jack", "user", "password", "c3");
await call("consumers", "addJwtAuth", "jack", "jwt", "a-secret-of-32-characters-or-more", "c4");
await call("consumers", "addHmacAuth", "jack", "id", "secret", "c5");
await call("consumers", "listCredentials", "jack");
await call("consumers", "deleteCredential", "jack", "c5");
await call("credentials", "create", "jack", { plugins: { "key-auth": { key: "k6" } } }, "c6");
await call("credentials", "update", "jack", "c1", { plugins: { "key-auth": { key: "k7" } } });
await call("credentials", "patch", "jack", "c1", { desc: "d" });
await call("credentials", "get", "jack", "c1");
await call("credentials", "list", "jack");
await call("credentials", "exists", "jack", "c1");
await call("credentials", "listPaginated", "jack", 1, 10);
await call("credentials", "findByPlugin", "jack", "key-auth");
await call("credentials", "findByPattern", "jack", /c1/);
await call("credentials", "getStatistics", "jack");
await call("credentials", "clone", "jack", "c1", "jack", { plugins: { "key-auth": { key: "k8" } } }, "c8");
await call("credentials", "delete", "jack", "c1");
const vault = { uri: "http://127.0.0.1:8200", prefix: "kv", token: "t", namespace: "n" };
const aws = { access_key_id: "a", secret_access_key: "b", region: "r" };
const gcp = { auth_config: { client_email: "a@b", private_key: "k", project_id: "p" } };
for (const [name, secret] of [["Vault", vault], ["AWS", aws], ["GCP", gcp]]) {
  await call("secrets", `create${name}Secret`, secret, "1");
  await call("secrets", `create${name}SecretWithValidation`, secret, "2");
  await call("secrets", `update${name}Secret`, "1", secret);
  await call("secrets", `get${name}Secret`, "1");
  await call("secrets", `list${name}Secrets`);
  await call("secrets", `test${name}Connection`, "1");
  await call("secrets", `delete${name}Secret`, "2");
}
await call("secrets", "listAllSecrets");
await call("secrets", "findVaultSecretsByNamespace", "n");
await call("secrets", "findAWSSecretsByRegion", "r");
await call("secrets", "findSecretsByPrefix", "kv");
await call("plugins", "list");
await call("plugins", "getAvailablePlugins");
await call("plugins", "isAvailable", "key-auth");
await call("plugins", "getSchema", "key-auth");
await call("plugins", "enable", "key-auth");
await call("plugins", "disable", "key-auth");
await call("plugins", "setGlobalState", "key-auth", true);
await call("plugins", "updateMetadata", "http-logger", { log_format: { host: "$host" } });
await call("plugins", "getMetadata", "http-logger");
await call("plugins", "listMetadata");
await call("plugins", "validateConfig", "limit-count", limit["limit-count"]);
await call("plugins", "getPluginInfo", "key-auth");
await call("plugins", "getPluginsByCategory", "security");
for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(sdk.control))) {
  // It asks ports 9091 and 9080 of this machine, whatever it is told: nothing of ours.
  if (/^(getPrometheusMetrics|performBasicValidation|compareVersions|constructor)$/.test(method)) continue;
  const given = { getSchema: ["route"], getPluginSchema: ["key-auth"], validateSchema: ["route", { uri: "/a" }],
    hasDiscovery: ["nacos"], getPluginMetadataById: ["http-logger"], getUpstreamHealth: [], validatePlugins: [limit, {}],
    getDiscoveryDumpFile: ["f"] }[method];
  await call("control", method, ...(given ?? (method.match(/^get[A-Z]/) ? ["1"] : [])));
}
await call("version", "getCurrentVersionConfig");
await call("version", "isFeatureSupported", "supportsCredentials");
await call("version", "isPluginSupported", "key-auth");
await call("version", "getDeprecatedFeatures");
await call("version", "isFeatureDeprecated", "x");
await call("version", "getMigrationRecommendations", "3.0.0");
await call("version", "validateConfiguration", { plugins: limit });
await call("sdk", "testConnection");
await call("sdk", "testControlConnection");
await call("sdk", "getSystemStatus");
await call("sdk", "getServerInfo");
await call("sdk", "getVersion");
await call("sdk", "supportsFeature", "credentials");
await call("sdk", "getVersionCompatibility");
await call("sdk", "validateData", "route", { uri: "/a" });
await call("sdk", "getConfigurationRecommendations");
await call("sdk", "getSchemaCompatibility");
await call("sdk", "batchOperations", "routes", [{ operation: "create", id: "b", data: objects.routes[1] }, { operation: "delete", id: "b" }]);
await call("sdk", "importData", "upstreams", [{ id: "i", ...upstream }]);
await call("sdk", "exportData", "upstreams");
await call("sdk", "importFromOpenAPI", { openapi: "3.0.0", info: { title: "t", version: "1" }, paths: { "/o": { get: { operationId: "o", responses: {} } } } }, { defaultUpstream: upstream });
await call("sdk", "exportToOpenAPI");
await call("routes", "importFromOpenAPI", { openapi: "3.0.0", info: { title: "t", version: "1" }, paths: {} }, {});
await call("routes", "exportToOpenAPI");
await call("routes", "search", { uri: "/b" });
await call("routes", "batchOperations", [{ operation: "create", id: "b", data: objects.routes[1] }, { operation: "delete", id: "b" }]);
await call("pluginConfigs", "validate", { plugins: limit });
await call("pluginConfigs", "batchCreate", [{ id: "4", data: { plugins: limit } }]);
await call("plugins", "getConfigTemplate", "cors");
await call("sdk", "searchRoutes", { uri: "/b" });
for (const part of ["streamRoutes", "routes", "services", "upstreams", "pluginConfigs", "globalRules", "consumerGroups", "ssl", "protos"])
  await call(part, "delete", "1", { force: true });
await call("consumers", "delete", "jack");
await call("plugins", "deleteMetadata", "http-logger");

const parts = { sdk, ...Object.fromEntries(Object.entries(sdk).filter(([, part]) => part?.client && part !== sdk.client)) };
const left = Object.entries(parts).flatMap(([part, holder]) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(holder))
    .filter((name) => Object.getPrototypeOf(holder)[name].constructor.name === "AsyncFunction")
    .map((name) => `${part}.${name}`)
    .filter((name) => !called.has(name)),
);
console.log(JSON.stringify({ said, left }));
