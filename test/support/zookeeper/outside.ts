/** Changes a ZooKeeper tree from outside, by another client than the adapter's. */
import { ACL, createClient, CreateMode, Id, Permission } from 'node-zookeeper-client'
import type { Client } from 'node-zookeeper-client'

export interface OutsideTree {
  children(path: string): Promise<string[]>
  /** Content, undefined where there is no such node (any more). */
  data(path: string): Promise<string | undefined>
  /** Makes the node, and its parents, or replaces its content. */
  put(path: string, data: string, isEphemeral?: boolean): Promise<void>
  remove(path: string): Promise<void>
  /** Only this client may read and change the node from now on, or everybody again. */
  own(path: string, isOurs: boolean): Promise<void>
  close(): void
}

export async function outsideTree(port: number): Promise<OutsideTree> {
  const client: Client = createClient(`127.0.0.1:${port}`, { sessionTimeout: 10_000, retries: 10 })
  await new Promise<void>((resolve) => {
    client.once('connected', () => resolve())
    client.connect()
    client.addAuthInfo('digest', Buffer.from('outside:secret'))
  })
  const done = <T>(call: (callback: (error: Error | null, value: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      call((error, value) => (error === null || error === undefined ? resolve(value) : reject(error)))
    })
  const exists = async (path: string): Promise<boolean> =>
    (await done<object | null>((callback) => client.exists(path, callback))) !== null
  return {
    children: async (path) =>
      (await exists(path)) ? done<string[]>((callback) => client.getChildren(path, callback)) : [],
    data: (path) =>
      done<Buffer>((callback) => client.getData(path, callback)).then(
        (bytes) => bytes.toString(),
        () => undefined,
      ),
    put: async (path, data, isEphemeral = false) => {
      if (await exists(path)) {
        await done((callback) => client.setData(path, Buffer.from(data), callback))
        return
      }
      const parent = path.slice(0, path.lastIndexOf('/'))
      if (!(await exists(parent))) await done((callback) => client.mkdirp(parent, callback))
      const mode = isEphemeral ? CreateMode.EPHEMERAL : CreateMode.PERSISTENT
      await done((callback) => client.create(path, Buffer.from(data), mode, callback))
    },
    remove: async (path) => {
      if (await exists(path)) await done((callback) => client.remove(path, callback))
    },
    own: async (path, isOurs) => {
      const acls = isOurs ? [new ACL(Permission.ALL, new Id('auth', ''))] : ACL.OPEN_ACL_UNSAFE
      await done((callback) => client.setACL(path, acls, callback))
    },
    close: () => client.close(),
  }
}
