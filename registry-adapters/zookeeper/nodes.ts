/**
 * What is done with ZooKeeper's tree: the requests that this adapter needs, one function each, in the present session.
 */
import { MeshError } from '../../contracts/errors.ts'
import { readStat } from './records.ts'
import type { NodeStat, RecordReader, RecordWriter } from './records.ts'
import type { ZooKeeperSession } from './session.ts'
import { Code, isRefusal, Op, ZooKeeperRefusal } from './words.ts'

const permissions = { read: 1, all: 31 } as const
const flags = { persistent: 0, ephemeral: 1 } as const
/** Names of one list that are looked at. Each costs time of the loop, and a list of 16 MiB may have four million. */
const maxNames = 100_000
/** A node that is there for one question and not for the next, so often in a row: the server contradicts itself. */
const maxTurns = 5

export class ZooKeeperNodes {
  private readonly session: ZooKeeperSession
  /** Nodes that we make belong to our credentials; without credentials to everybody. */
  private readonly hasOwner: () => boolean

  constructor(session: ZooKeeperSession, hasOwner: () => boolean) {
    this.session = session
    this.hasOwner = hasOwner
  }

  /** Names below `path`, and a watch on them; undefined when there is no such node (a watch then waits for it). */
  async children(path: string): Promise<string[] | undefined> {
    for (let turn = 0; turn < maxTurns; turn++) {
      try {
        return await this.ask(
          Op.getChildren2,
          path,
          (writer) => writer.text(path).bool(true),
          (reader) => reader.texts(maxNames),
        )
      } catch (error) {
        if (!isRefusal(error, Code.noNode)) throw error
      }
      // it may be made between the two questions
      if ((await this.stat(path, true)) === undefined) return undefined
    }
    throw contradiction(path)
  }

  /** Content of a node, and a watch on it; undefined when there is no such node. */
  async data(path: string): Promise<Buffer | undefined> {
    try {
      return await this.ask(
        Op.getData,
        path,
        (writer) => writer.text(path).bool(true),
        (reader) => reader.bytes(),
      )
    } catch (error) {
      if (isRefusal(error, Code.noNode)) return undefined
      throw error
    }
  }

  async stat(path: string, isWatched = false): Promise<NodeStat | undefined> {
    try {
      return await this.ask(Op.exists, path, (writer) => writer.text(path).bool(isWatched), readStat)
    } catch (error) {
      if (isRefusal(error, Code.noNode)) return undefined
      throw error
    }
  }

  /** A node that lives with the session. Parents are made where they are missing. */
  async createEphemeral(path: string, data: Buffer): Promise<void> {
    for (let turn = 0; turn < maxTurns; turn++) {
      try {
        await this.request(Op.create, path, (writer) => this.create(writer, path, data, flags.ephemeral))
        return
      } catch (error) {
        if (!isRefusal(error, Code.noNode)) throw error
      }
      await this.createParents(path)
    }
    throw contradiction(path)
  }

  /** Deletes and makes it in one step, so that no watcher finds it missing; it lives with our session from now on. */
  async takeOver(path: string, data: Buffer): Promise<void> {
    const code = await this.ask(
      Op.multi,
      path,
      (writer) => {
        writer.int(Op.delete).bool(false).int(-1).text(path).int(-1)
        writer.int(Op.create).bool(false).int(-1)
        this.create(writer, path, data, flags.ephemeral)
        return writer.int(-1).bool(true).int(-1)
      },
      firstError,
    )
    if (code !== Code.ok) throw new ZooKeeperRefusal(code, path)
  }

  async setData(path: string, data: Buffer): Promise<void> {
    await this.request(Op.setData, path, (writer) => writer.text(path).bytes(data).int(-1))
  }

  /** None being there is success. */
  async remove(path: string): Promise<void> {
    try {
      await this.request(Op.delete, path, (writer) => writer.text(path).int(-1))
    } catch (error) {
      if (!isRefusal(error, Code.noNode)) throw error
    }
  }

  private async createParents(path: string): Promise<void> {
    for (let slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash)
      try {
        const none = Buffer.alloc(0)
        await this.request(Op.create, parent, (writer) => this.create(writer, parent, none, flags.persistent))
      } catch (error) {
        if (!isRefusal(error, Code.nodeExists)) throw error
      }
    }
  }

  private create(writer: RecordWriter, path: string, data: Buffer, kind: number): RecordWriter {
    writer.text(path).bytes(data)
    // parents are shared with others; what is ours is ours alone to change
    if (kind === flags.ephemeral && this.hasOwner())
      writer.int(2).int(permissions.all).text('auth').text('').int(permissions.read).text('world').text('anyone')
    else writer.int(1).int(permissions.all).text('world').text('anyone')
    return writer.int(kind)
  }

  /** A request, and what its answer says; one that cannot be read is a fault of the server. */
  private async ask<T>(
    type: number,
    what: string,
    body: (writer: RecordWriter) => unknown,
    read: (reader: RecordReader) => T,
  ): Promise<T> {
    const reader = await this.request(type, what, body)
    try {
      return read(reader)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new MeshError('E_REGISTRY_PROTOCOL', `${what}: an answer that cannot be read: ${error.message}`)
    }
  }

  private request(type: number, what: string, body: (writer: RecordWriter) => unknown): Promise<RecordReader> {
    const { connection } = this.session
    if (connection === undefined)
      return Promise.reject(
        new MeshError('E_REGISTRY_UNREACHABLE', `${what}: no ZooKeeper server answers`, {
          cause: this.session.problem,
        }),
      )
    return connection.request(type, what, (writer) => void body(writer))
  }
}

function contradiction(path: string): MeshError {
  return new MeshError('E_REGISTRY_PROTOCOL', `${path}: the server says that it is there and that it is not`)
}

/** Result of a transaction: the first error of its parts that is not "another part failed". */
function firstError(reader: RecordReader): number {
  const rolledBack = [Code.ok, -2] as readonly number[]
  let code: number = Code.ok
  for (;;) {
    const type = reader.int()
    const isDone = reader.bool()
    reader.int()
    if (isDone) return code
    if (type === -1) {
      const error = reader.int()
      if (code === Code.ok || (rolledBack.includes(code) && error !== Code.ok)) code = error
    } else if (type === Op.create) reader.text()
    else if (type === Op.setData) readStat(reader)
  }
}
