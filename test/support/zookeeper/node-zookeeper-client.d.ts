/** What the tests use of node-zookeeper-client 1.1, which has no types of its own. */
declare module 'node-zookeeper-client' {
  type Callback<T> = (error: Error | null, value: T) => void
  export interface Client {
    once(event: 'connected', listener: () => void): void
    connect(): void
    close(): void
    exists(path: string, callback: Callback<object | null>): void
    getChildren(path: string, callback: Callback<string[]>): void
    getData(path: string, callback: Callback<Buffer>): void
    setData<T>(path: string, data: Buffer, callback: Callback<T>): void
    mkdirp<T>(path: string, callback: Callback<T>): void
    create<T>(path: string, data: Buffer, mode: number, callback: Callback<T>): void
    addAuthInfo(scheme: string, auth: Buffer): void
    setACL<T>(path: string, acls: readonly ACL[], callback: Callback<T>): void
    remove<T>(path: string, callback: Callback<T>): void
  }
  export function createClient(servers: string, options: { sessionTimeout: number; retries: number }): Client
  export class Id {
    constructor(scheme: string, id: string)
  }
  export class ACL {
    static readonly OPEN_ACL_UNSAFE: readonly ACL[]
    constructor(permission: number, id: Id)
  }
  export const Permission: { readonly ALL: number }
  export const CreateMode: { readonly PERSISTENT: number; readonly EPHEMERAL: number }
}
