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
    for (;;) {
      try {
        const reader = await this.request(Op.getChildren2, path, (writer) => writer.text(path).bool(true))
        return reader.texts()
      } catch (error) {
        if (!isRefusal(error, Code.noNode)) throw error
      }
      // it may be made between the two questions
      if ((await this.stat(path, true)) === undefined) return undefined
    }
  }

  /** Content of a node, and a watch on it; undefined when there is no such node. */
  async data(path: string): Promise<Buffer | undefined> {
    try {
      const reader = await this.request(Op.getData, path, (writer) => writer.text(path).bool(true))
      return reader.bytes()
    } catch (error) {
      if (isRefusal(error, Code.noNode)) return undefined
      throw error
    }
  }

  async stat(path: string, isWatched = false): Promise<NodeStat | undefined> {
    try {
      return readStat(await this.request(Op.exists, path, (writer) => writer.text(path).bool(isWatched)))
    } catch (error) {
      if (isRefusal(error, Code.noNode)) return undefined
      throw error
    }
  }

  /** A node that lives with the session. Parents are made where they are missing. */
  async createEphemeral(path: string, data: Buffer): Promise<void> {
    for (;;) {
      try {
        await this.request(Op.create, path, (writer) => this.create(writer, path, data, flags.ephemeral))
        return
      } catch (error) {
        if (!isRefusal(error, Code.noNode)) throw error
      }
      await this.createParents(path)
    }
  }

  /** Deletes and makes it in one step, so that no watcher finds it missing; it lives with our session from now on. */
  async takeOver(path: string, data: Buffer): Promise<void> {
    const reader = await this.request(Op.multi, path, (writer) => {
      writer.int(Op.delete).bool(false).int(-1).text(path).int(-1)
      writer.int(Op.create).bool(false).int(-1)
      this.create(writer, path, data, flags.ephemeral)
      writer.int(-1).bool(true).int(-1)
    })
    const code = firstError(reader)
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
