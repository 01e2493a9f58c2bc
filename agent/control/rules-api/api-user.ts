/** Who asks the API of rules, and what he may do. */
export interface ApiUser {
  readonly name: string
  /**
   * `read` sees, `write` also changes, `admin` does both everywhere; `host` is the agent of the host that the user is
   * called after: it reports, and takes discovery.
   */
  readonly role: 'read' | 'write' | 'admin' | 'host'
  /** undefined = all of them. */
  readonly namespaces: readonly string[] | undefined
  /** The application that it stands for in mutual TLS, `ns/NAMESPACE/sa/ACCOUNT`; absent = none. */
  readonly identity?: string | undefined
}

/** `namespace` undefined = all namespaces at once. */
export function may(user: ApiUser, isChange: boolean, namespace: string | undefined): boolean {
  if (user.role === 'admin') return true
  if (user.role === 'host') return false
  if (isChange && user.role !== 'write') return false
  return user.namespaces === undefined || (namespace !== undefined && user.namespaces.includes(namespace))
}
