/** Who asks: the owner of the client's socket, and the name it has logged in with. Both may be unknown. */
export interface Caller {
  /** User id on this host, told by the kernel. */
  readonly uid: number | undefined
  /** Proved by a password or an access token. */
  readonly login: string | undefined
}

/** For messages and for shares of bounds. */
export function callerName({ uid }: Pick<Caller, 'uid'>): string {
  return uid === undefined ? 'an unknown user' : `user ${uid}`
}

/** Whose share of a bound something counts in. undefined: of nobody that has one (root, the agent's own user). */
export type Holder = string | undefined
