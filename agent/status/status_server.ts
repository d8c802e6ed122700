/**
 * Serves `loden status`: HTTP over a unix socket that only its owner can open.
 *
 *     curl --unix-socket /run/loden/coreos.com-network.sock http://loden/status
 *
 * @module
 */

import { RunDirectoryError } from "../errors.ts";
import type { InstancePaths } from "../instance/instance.ts";
import type { StatusSnapshot } from "./state.ts";

/** The socket, mode 0600, in a directory that must exist. */
export class StatusServer {
  readonly #server: Deno.HttpServer;
  readonly #socket: string;

  private constructor(server: Deno.HttpServer, socket: string) {
    this.#server = server;
    this.#socket = socket;
  }

  /**
   * Call it with the instance's lock held: an existing socket then belongs to a
   * dead agent and is replaced.
   *
   * @throws {RunDirectoryError} if the socket cannot be created.
   */
  static start(
    paths: InstancePaths,
    status: () => StatusSnapshot,
  ): StatusServer {
    removeStaleSocket(paths.socket);
    // The mode must be right from the first moment: with a chmod after the
    // bind, the socket would be open to all users in between.
    const umask = Deno.umask(0o177);
    try {
      const server = Deno.serve(
        { path: paths.socket, onListen: () => {} },
        (request) => answer(request, status),
      );
      return new StatusServer(server, paths.socket);
    } catch (error) {
      throw new RunDirectoryError("listen on", paths.socket, error);
    } finally {
      Deno.umask(umask);
    }
  }

  async stop(): Promise<void> {
    await this.#server.shutdown();
    removeStaleSocket(this.#socket);
  }
}

function answer(request: Request, status: () => StatusSnapshot): Response {
  const { pathname } = new URL(request.url);
  if (pathname !== "/status") {
    return new Response("not found: try /status\n", { status: 404 });
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("only GET\n", {
      status: 405,
      headers: { allow: "GET, HEAD" },
    });
  }
  return Response.json(status());
}

function removeStaleSocket(path: string): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new RunDirectoryError("look at", path, error);
  }
  if (!info.isSocket) {
    throw new RunDirectoryError(
      "listen on",
      path,
      new Error("there is something that is not a socket"),
    );
  }
  try {
    Deno.removeSync(path);
  } catch (error) {
    throw new RunDirectoryError("remove the old socket", path, error);
  }
}
