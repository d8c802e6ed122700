import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { REMOVED, Secrets } from "../../../../commands/bundle/secrets.ts";

/** Hides what is known, then everything that looks like a secret. */
function hide(text: string, fill: (secrets: Secrets) => void = () => {}) {
  const secrets = new Secrets();
  fill(secrets);
  return secrets.hide(text);
}

Deno.test("a known password disappears in every form in which it is written", () => {
  const password = 'p"a ss\\wörd@1';
  const bytes = new TextEncoder();
  const forms = [
    `plain ${password} text`,
    `inside x${password}x`,
    JSON.stringify({ text: `login with ${password} failed` }),
    `https://host/?p=${encodeURIComponent(password)}`,
    `base64 ${bytes.encode(password).toBase64()}`,
    `basic ${bytes.encode(`operator:${password}`).toBase64()}`,
  ];
  for (const form of forms) {
    const shown = hide(form, (secrets) => {
      secrets.addUser("operator");
      secrets.add(password);
    });
    assertStringIncludes(shown, REMOVED);
    for (const part of [password, "wörd", "w%C3%B6rd"]) {
      assert(!shown.includes(part), shown);
    }
  }
});

Deno.test("no known secret of any kind is left", () => {
  fc.assert(fc.property(
    fc.string({ minLength: 4 }).filter((text) => text.trim().length >= 4),
    fc.string(),
    fc.string(),
    (secret, before, behind) => {
      const shown = hide(
        before + secret.trim() + behind,
        (secrets) => secrets.add(secret),
      );
      // What replaces it may be a secret itself.
      return REMOVED.includes(secret.trim()) ||
        !shown.replaceAll(REMOVED, "").includes(secret.trim());
    },
  ));
});

Deno.test("a short password is removed where it stands alone, and does not break words", () => {
  assertEquals(
    hide("say ab: about ab", (secrets) => secrets.add("ab")),
    `say ${REMOVED}: about ${REMOVED}`,
  );
});

Deno.test("the user name of etcd is removed, but not the words that it may be", () => {
  const text =
    "log in as op7: root qdisc, etcd-username=root, --user root:x, " +
    "the password of root";
  const shown = hide(text, (secrets) => {
    secrets.addUser("op7");
    secrets.addUser("root");
  });
  assertEquals(
    shown,
    `log in as ${REMOVED}: root qdisc, etcd-username=${REMOVED}, --user ${REMOVED} ` +
      `the password of ${REMOVED}`,
  );
});

Deno.test("each line of a key file is a secret, its frame is not", () => {
  const key = "-----BEGIN PRIVATE KEY-----\nMIIabc123\nQRSxyz789\n" +
    "-----END PRIVATE KEY-----\n";
  const shown = hide(
    "a MIIabc123 b QRSxyz789 c",
    (secrets) => secrets.add(key),
  );
  assertEquals(shown, `a ${REMOVED} b ${REMOVED} c`);
});

Deno.test("secrets are found in environments, command lines and JSON inside of JSON", () => {
  const fill = (secrets: Secrets) => {
    secrets.addVariables([
      ["VAULT_TOKEN", "vault-1"],
      ["FLANNELD_ETCD_PASSWORD_FILE", "/etc/loden/password"],
      ["HTTPS_PROXY", "http://anna:pr%40xy-2@proxy:3128"],
      ["USE_TOKEN", "true"],
      ["ETCDCTL_USER", "berta:etcdctl:8"],
      ["https_proxy", "carla:bare-9@proxy:3128"],
    ]);
    secrets.addWords(["--etcd-password", "words-3", "-api-key=words-4"]);
    secrets.addJson(JSON.stringify({
      config: JSON.stringify({ Backend: { Type: "wireguard", PSK: "psk-5" } }),
      privateKey: "key-6",
      backends: [{
        options: { PreStartupCommand: "curl -u me:pw-7 http://x" },
      }],
    }));
  };
  const text = "vault-1 pr%40xy-2 pr@xy-2 anna words-3 words-4 psk-5 key-6 " +
    "berta etcdctl:8 carla bare-9 " +
    "curl -u me:pw-7 http://x /etc/loden/password true";
  const shown = hide(text, fill);
  assertEquals(
    shown,
    `${`${REMOVED} `.repeat(13)}/etc/loden/password true`,
  );
});

/** With a secret that Loden does not know. */
const FORMS: Readonly<Record<string, string>> = {
  "https://anna:s3cret@etcd:2379/x": `https://${REMOVED}@etcd:2379/x`,
  "http://a:s3/cr@et@h,http://b:s3cret@h2":
    `http://${REMOVED}@h,http://${REMOVED}@h2`,
  "https://etcd:2379": "https://etcd:2379",
  "Authorization: Bearer s3cret.abc-def":
    `Authorization: ${REMOVED} ${REMOVED}`,
  "sent Bearer s3cret.abc-def on": `sent Bearer ${REMOVED} on`,
  "token eyJhbGciOiJIUzI1NiJ9.s3cretPayload.sig_": `token ${REMOVED}`,
  'password = "s3 cret"': `password = "${REMOVED}"`,
  "DB_PASSWORD='s3 cret' next": `DB_PASSWORD='${REMOVED}' next`,
  '{"PSK":"s3cret","MTU":1420}': `{"PSK":"${REMOVED}","MTU":1420}`,
  '"{\\"PSK\\":\\"s3cret\\",\\"a\\":1}"':
    `"{\\"PSK\\":\\"${REMOVED}\\",\\"a\\":1}"`,
  "error: password=s3cret, x=y": `error: password=${REMOVED}, x=y`,
  "a=b token: s3cret": `a=b token: ${REMOVED}`,
  "PrivateKey = s3cretkey=": `PrivateKey = ${REMOVED}`,
  "run --etcd-password s3cret now": `run --etcd-password ${REMOVED} now`,
  "etcdctl --user anna:s3cret get": `etcdctl --user ${REMOVED} get`,
  "curl -u anna:s3cret x": `curl -u ${REMOVED} x`,
  "-----BEGIN EC PRIVATE KEY-----\ns3cret\n-----END EC PRIVATE KEY-----\nx":
    `${REMOVED}\nx`,
  "-----BEGIN PRIVATE KEY-----\\ns3cret (cut off": REMOVED,
};

Deno.test("what looks like a secret is removed although nobody knows it", () => {
  for (const [text, shown] of Object.entries(FORMS)) {
    assertEquals(hide(text), shown);
  }
});

Deno.test("what only speaks of secrets stays", () => {
  const texts = [
    '"etcd-password":{"value":"hidden","source":"env"}',
    "etcd-password-file  /etc/loden/password  environment: X",
    "etcd-password  hidden  environment: FLANNELD_ETCD_PASSWORD",
    "PSK: hidden, SHA-256 0a1b2c3d",
    "preshared key yes, keepalive 25 s",
    "tx.drop.noToken 0",
    "check --etcd-password-file first",
    `PASSWORD=${REMOVED} stays`,
  ];
  for (const text of texts) assertEquals(hide(text), text);
});
