/**
 * Removes secrets from texts that leave the host.
 *
 * In two ways, because each misses something: by value, for secrets that Loden can
 * read on this host, whatever stands around them; and by form, for secrets that it
 * does not know, such as a password in the URL of another program.
 *
 * @module
 */

import { ORDINARY_WORDS } from "./ordinary_words.ts";

/** Stands in place of a secret. */
export const REMOVED = "[removed]";

/** A shorter one is replaced only where it stands alone. */
const LEAST_INSIDE = 4;

/** A shorter line of a command has no room for a secret. */
const LEAST_COMMAND = 12;

/** Names of variables, settings and fields whose value is a secret. */
const SECRET_WORDS = "passw(?:or)?d|passphrase|secret|token|credential|psk|" +
  "pre-?shared|private[-_]?key|api[-_]?key|access[-_]?key|authorization|cookie";
const SECRET_NAME = new RegExp(SECRET_WORDS, "i");
/** Names whose value only says where the secret is, or counts. */
const PLACE_NAME = /(?:file|files|path|dir|directory|paths|source)$/i;

/** What is known to be secret on this host. */
export class Secrets {
  readonly #texts = new Set<string>();
  readonly #users = new Set<string>();

  /** A secret. Of several lines, each line is one. */
  add(text: string): void {
    for (const line of text.split(/\r?\n/).map((line) => line.trim())) {
      const isFrame = /^-----(BEGIN|END) [A-Z ]+-----$/.test(line);
      if (!isFrame && line !== "") this.#texts.add(line);
    }
  }

  /** A command whose arguments may be secrets. */
  addCommand(text: string): void {
    for (const line of text.split(/\r?\n/).map((line) => line.trim())) {
      if (line.length >= LEAST_COMMAND && /\s/.test(line)) this.add(line);
    }
  }

  /** The content of a file with a key in base64, whatever else is in it. */
  addKeyFile(text: string): void {
    for (const [key] of text.matchAll(/[A-Za-z0-9+/=]{20,}/g)) this.add(key);
  }

  /** The name of an account. */
  addUser(name: string): void {
    if (name !== "") this.#users.add(name);
  }

  /** Variables of an environment. */
  addVariables(variables: Iterable<readonly [string, string]>): void {
    for (const [name, value] of variables) {
      if (isSecretName(name) && !isHarmless(value)) this.add(value);
      if (/user[-_]?name$/i.test(name)) this.addUser(value);
      // As etcdctl takes it: ETCDCTL_USER=NAME:PASSWORD.
      const [user, ...password] = value.split(":");
      if (/(?:^|[-_])user$/i.test(name) && password.length > 0) {
        this.addUser(user!);
        this.add(password.join(":"));
      }
      // A proxy may stand without its scheme.
      const isBare = /proxy$/i.test(name) && !value.includes("://");
      this.#addUserInfo(isBare ? `http://${value}` : value);
    }
  }

  /** The words of a command line: `--etcd-password=x`, `--etcd-password x`. */
  addWords(words: readonly string[]): void {
    for (const [index, word] of words.entries()) {
      const flag = /^--?([\w-]+)(?:=([^]*))?$/.exec(word);
      this.#addUserInfo(word);
      if (flag === null) continue;
      const value = flag[2] ?? words[index + 1] ?? "";
      this.addVariables([[flag[1]!, value]]);
    }
  }

  /** JSON with secrets in fields of such names, also inside of strings of JSON. */
  addJson(text: string): void {
    try {
      JSON.parse(text, (name, value) => {
        if (typeof value !== "string") return value;
        if (isSecretName(name) && !isHarmless(value)) this.add(value);
        if (/Command$/i.test(name)) this.addCommand(value);
        if (value.trimStart().startsWith("{")) this.addJson(value);
        return value;
      });
    } catch (error) {
      // A broken file; what is in it is removed by its form.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }

  /** The text without them. */
  hide(text: string): string {
    const inside: string[] = [];
    const alone: string[] = [];
    for (const secret of this.#texts) {
      const forms = formsOf(secret, [...this.#users]);
      (secret.length < LEAST_INSIDE ? alone : inside).push(...forms);
    }
    const ordinary: string[] = [];
    for (const user of this.#users) {
      const isOrdinary = ORDINARY_WORDS.has(user.toLowerCase());
      (isOrdinary ? ordinary : alone).push(user);
    }
    let hidden = text;
    // The longest first: one may be a part of another.
    const known = pattern(inside, "", "");
    if (known !== undefined) hidden = hidden.replace(known, REMOVED);
    const words = pattern(alone, "(?<![A-Za-z0-9])", "(?![A-Za-z0-9])");
    if (words !== undefined) hidden = hidden.replace(words, REMOVED);
    const accounts = pattern(ordinary, ACCOUNT, "(?![A-Za-z0-9])");
    if (accounts !== undefined) hidden = hidden.replace(accounts, REMOVED);
    return hideByForm(hidden);
  }

  #addUserInfo(text: string): void {
    for (const [, user, password] of text.matchAll(USER_INFO_PARTS)) {
      this.addUser(decoded(user!));
      if (password) this.add(password);
      if (password) this.add(decoded(password));
    }
  }
}

/** In front of a user's name that is a common word elsewhere. */
const ACCOUNT = String.raw`(?<=\b(?:user|account|password of|log in as) ["']?)`;

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !PLACE_NAME.test(name);
}

/** As it stands in JSON, in a URL, and in what HTTP and Kubernetes encode. */
function formsOf(secret: string, users: readonly string[]): string[] {
  const bytes = new TextEncoder();
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.encode(secret).toBase64(),
    ...users.map((user) => bytes.encode(`${user}:${secret}`).toBase64()),
  ];
}

function pattern(
  texts: readonly string[],
  before: string,
  behind: string,
): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const words = [...new Set(texts)].sort((a, b) => b.length - a.length)
    .map(RegExp.escape);
  return new RegExp(`${before}(?:${words.join("|")})${behind}`, "g");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** `//user:password@`; a password may contain `/` and `@` although it must not. */
const USER_INFO = /(:\/\/)(?:(?!:\/\/)[^\s"'<>])*@/g;
const USER_INFO_PARTS = /:\/\/([^\s"'<>:/@]+)(?::((?:(?!:\/\/)[^\s"'<>])*))?@/g;

const PRIVATE_KEY =
  /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^]*?(?:-----END \1-----|$)/g;
const AUTHORIZATION = /\b(Bearer|Basic|Digest)(\s+)[\w.~+/=-]{6,}/g;
/** A JSON Web Token. */
const JWT = /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g;
/** A quoted value; inside of a string of JSON, its quotes are escaped. */
const QUOTED = String
  .raw`\\"(?:\\\\\\"|(?!\\").)*\\"|"(?:[^"\\]|\\.)*"|'[^']*'`;
/** Only of a secret: a name in front of it must not take it for its value. */
const NAME = String.raw`[\w.-]{0,64}(?:${SECRET_WORDS})[\w.-]{0,64}`;
const VALUE = String.raw`(\[removed\]|${QUOTED}|[^\s"',;}\]]+)`;
/** `NAME=value`, `"name": "value"`; the value may be quoted. */
const ASSIGNMENT = new RegExp(
  String.raw`(\\?["']|)(?<![\w.-])(${NAME})(\1\s*[=:]\s*)${VALUE}`,
  "gi",
);
/** `--name value`. */
const FLAG = new RegExp(
  String.raw`(^|\s)(?=--?\w)(${NAME})(\s+)${VALUE}`,
  "gim",
);
/** A user name behind a flag, as in `etcdctl --user NAME:PASSWORD`. */
const USER_FLAG =
  /((?:^|\s)-{1,2}(?:user|etcd-username|username|u)[ =])("[^"]*"|'[^']*'|[^\s"']+)/gm;
const USER_NAME =
  /((?:etcd[-_])?user[-_]?name["']?\s*[=:]\s*)(\\?"[^"]*"|'[^']*'|[^\s"',;}\]]+)/gi;

function hideByForm(text: string): string {
  return text
    .replace(PRIVATE_KEY, REMOVED)
    .replace(USER_INFO, `$1${REMOVED}@`)
    .replace(AUTHORIZATION, `$1$2${REMOVED}`)
    .replace(JWT, REMOVED)
    .replace(ASSIGNMENT, withoutValue)
    .replace(FLAG, withoutValue)
    .replace(USER_FLAG, `$1${REMOVED}`)
    .replace(USER_NAME, `$1${REMOVED}`);
}

function withoutValue(
  whole: string,
  before: string,
  name: string,
  between: string,
  value: string,
): string {
  if (PLACE_NAME.test(name) || isHarmless(value)) return whole;
  // What was JSON stays JSON.
  const [quote = ""] = /^(?:\\?"|')/.exec(value) ?? [];
  return `${before}${name}${between}${quote}${REMOVED}${quote}`;
}

/** What says whether there is a secret, and what is no value at all. */
function isHarmless(value: string): boolean {
  return /^(?:\\?["'])?(?:hidden(?:, SHA-256 [0-9a-f]{8})?|-|null|true|false|yes|no|none|[0-9{[]|\[removed\])?(?:\\?["'])?$/
    .test(value);
}
