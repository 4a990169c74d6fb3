/**
 * Certificates from files, kept up to date: the files are looked at every second, and what is good in them is taken over without a restart.
 * Called by `grpcNet` alone. A pair of files that do not belong together (caught half-way through a change) or garbage never takes the
 * certificate in force away. It watches by `stat` through the given paths, so that Kubernetes' swap of the `..data` link is seen like a rename.
 */
import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync, statSync, type Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { RheaError } from "../errors.js";
import { silentLogger, type Logger } from "../logger.js";
import type { TlsFiles } from "../net.js";

/** How often the files are looked at, in ms. */
const RELOAD_MS = 1_000;

/** What the files hold, checked. */
interface TlsMaterial {
  /** For servers; it holds the least protocol version too. */
  readonly options: SecureContextOptions;
  /** The same for connections. */
  readonly context: SecureContext;
  /** Serial number, issuer and expiry of the own certificate, for messages. */
  readonly identity: string;
}

type Texts = readonly [ca: string, cert: string, key: string];

function pathsOf({ caFile, certFile, keyFile }: TlsFiles): readonly [string, string, string] {
  return [caFile, certFile, keyFile];
}

function refuse(file: string, what: string, cause?: unknown): RheaError {
  return new RheaError("INVALID_CONFIG", `TLS file ${file}: ${what}`, { cause, details: { file } });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Every certificate of a PEM text. OpenSSL skips what it cannot read in a bundle; here that is an error. */
function certificates(file: string, text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const begins = text.split("-----BEGIN ").length - 1;
  if (blocks.length === 0 || blocks.length !== begins) {
    throw refuse(
      file,
      `${blocks.length} whole PEM certificates in ${begins} PEM blocks: certificates alone are needed`,
    );
  }
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw refuse(file, `certificate ${i + 1} cannot be read: ${reason(cause)}`, cause);
    }
  });
}

function check(files: TlsFiles, [ca, cert, key]: Texts): TlsMaterial {
  certificates(files.caFile, ca);
  const [leaf] = certificates(files.certFile, cert);
  let privateKey;
  try {
    privateKey = createPrivateKey(key);
  } catch (cause) {
    throw refuse(files.keyFile, `it holds no private key in PEM: ${reason(cause)}`, cause);
  }
  if (leaf?.checkPrivateKey(privateKey) !== true) {
    throw refuse(files.keyFile, `the key does not belong to the certificate in ${files.certFile}`);
  }
  const options: SecureContextOptions = { ca, cert, key, minVersion: "TLSv1.3" };
  const identity = `serial ${leaf.serialNumber}, issuer ${leaf.issuer.replaceAll("\n", ", ")}, valid to ${leaf.validTo}`;
  try {
    return { options, context: createSecureContext(options), identity };
  } catch (cause) {
    throw refuse(files.certFile, reason(cause), cause);
  }
}

function signature(stats: readonly Stats[]): string {
  return stats.map((each) => [each.dev, each.ino, each.size, each.mtimeMs, each.ctimeMs].join(" ")).join("; ");
}

/** See the file's header. It looks at the files only while somebody retains it; its timer keeps no process alive. */
export class TlsSource {
  readonly #files: TlsFiles;
  readonly #logger: Logger;
  readonly #reloadMs: number;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #material: TlsMaterial;
  #seen: string;
  #complaint: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  /** Reads the files. Throws INVALID_CONFIG with the file's name for one that is absent, garbage or no match. */
  constructor(
    files: TlsFiles,
    options: { readonly logger?: Logger | undefined; readonly reloadMs?: number | undefined },
  ) {
    this.#files = files;
    this.#logger = options.logger ?? silentLogger;
    this.#reloadMs = options.reloadMs ?? RELOAD_MS;
    const { seen, texts } = this.#readNow();
    this.#material = check(files, texts);
    this.#seen = seen;
  }

  /** What is in force: new connections take it, running ones keep what they began with. */
  get material(): TlsMaterial {
    return this.#material;
  }

  /** Keeps the source looking at its files until the returned function is called; `listener` hears of new material. */
  retain(listener: (material: TlsMaterial) => void): () => void {
    if (this.#listeners.size === 0) {
      this.#lookNow();
      this.#timer = setInterval(() => void this.#look(), this.#reloadMs);
      this.#timer.unref();
    }
    // One entry per caller, also when two pass the same function.
    const own = (material: TlsMaterial): void => {
      listener(material);
    };
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) clearInterval(this.#timer);
    };
  }

  #readNow(): { seen: string; texts: Texts } {
    const read = (file: string): { stat: Stats; text: string } => {
      try {
        return { stat: statSync(file), text: readFileSync(file, "utf8") };
      } catch (cause) {
        throw refuse(file, reason(cause), cause);
      }
    };
    const [ca, cert, key] = pathsOf(this.#files);
    const all = [read(ca), read(cert), read(key)] as const;
    return { seen: signature(all.map((each) => each.stat)), texts: [all[0].text, all[1].text, all[2].text] };
  }

  /** For the first that retains it again: the files may have changed while nobody looked. */
  #lookNow(): void {
    try {
      const { seen, texts } = this.#readNow();
      if (seen !== this.#seen) this.#take(seen, texts);
    } catch (error) {
      this.#complain(error);
    }
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const paths = pathsOf(this.#files);
      const before = signature(await Promise.all(paths.map((path) => stat(path))));
      if (before === this.#seen) return;
      const [ca = "", cert = "", key = ""] = await Promise.all(paths.map((path) => readFile(path, "utf8")));
      // Changed while it was read: what was read may be of two ages. The next look settles it.
      if (signature(await Promise.all(paths.map((path) => stat(path)))) !== before) return;
      this.#take(before, [ca, cert, key]);
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#isLooking = false;
    }
  }

  #take(seen: string, texts: Texts): void {
    this.#seen = seen;
    const { ca, cert, key } = this.#material.options;
    if (texts[0] === ca && texts[1] === cert && texts[2] === key) return;
    this.#material = check(this.#files, texts);
    this.#complaint = undefined;
    this.#logger.log("info", "certificate taken over", { certificate: this.#material.identity });
    for (const listener of [...this.#listeners]) listener(this.#material);
  }

  #complain(error: unknown): void {
    const message = reason(error);
    if (message === this.#complaint) return;
    this.#complaint = message;
    this.#logger.log("warn", `${message}; the certificate in force stays`, { certificate: this.#material.identity });
  }
}
