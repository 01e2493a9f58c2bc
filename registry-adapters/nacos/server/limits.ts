/**
 * Every bound of the face on one page. At a bound the caller gets a Nacos error that names it, a counter moves
 * (`nacos_face_refused` with the bound as label), and what is already there stays untouched.
 */
export interface NacosLimits {
  /** Open HTTP connections; for a further one the longest idle one leaves. */
  readonly maxHttpConnections: number
  /** The same for one user of the host. */
  readonly maxHttpConnectionsPerUser: number
  /** Open gRPC connections; for a further one the oldest that is not set up leaves. */
  readonly maxGrpcConnections: number
  /** The same for one user of the host. */
  readonly maxGrpcConnectionsPerUser: number
  /** Bytes of one HTTP body and of one gRPC message. */
  readonly maxMessageBytes: number
  /** Bytes of all HTTP bodies that are being read or answered. */
  readonly maxBodyTotalBytes: number
  /** The same for one user of the host. */
  readonly maxBodyBytesPerUser: number
  readonly maxServices: number
  /**
   * Services that one user of the host looks up at a time, root and the agent's own user apart. The agent sets half of
   * `outbound.portRange`.
   */
  readonly maxServicesPerUser: number
  readonly maxInstances: number
  /** Registrations of one user of the host, root and the agent's own user apart. */
  readonly maxInstancesPerUser: number
  /** Services one connection may subscribe to. */
  readonly maxSubscriptions: number
  readonly maxConfigs: number
  /** Documents that one user of the host listens to, root and the agent's own user apart. */
  readonly maxConfigsPerUser: number
  /** Bytes of one configuration document in UTF-8. */
  readonly maxConfigBytes: number
  /** Bytes of all configuration documents together. */
  readonly maxConfigTotalBytes: number
  /** Configuration documents one connection, or one long poll, may listen to. */
  readonly maxConfigListeners: number
  /** Parked long polls of all clients. */
  readonly maxParkedPolls: number
  /** The same for one user of the host. */
  readonly maxParkedPollsPerUser: number
  /** Pushes sent to one connection and not yet acknowledged; further changes are merged and wait. */
  readonly maxUnackedPushes: number
  /** Unread bytes towards one connection; pushes wait above it. */
  readonly maxPushBufferBytes: number
  /** Living access tokens. */
  readonly maxTokens: number
}

export const defaultLimits: NacosLimits = {
  maxHttpConnections: 1024,
  maxHttpConnectionsPerUser: 256,
  maxGrpcConnections: 1024,
  maxGrpcConnectionsPerUser: 512,
  maxMessageBytes: 11 * 1024 * 1024,
  maxBodyTotalBytes: 64 * 1024 * 1024,
  maxBodyBytesPerUser: 16 * 1024 * 1024,
  maxServices: 20_000,
  maxServicesPerUser: 500,
  maxInstances: 100_000,
  maxInstancesPerUser: 200,
  maxSubscriptions: 10_000,
  maxConfigs: 10_000,
  maxConfigsPerUser: 3_000,
  maxConfigBytes: 10 * 1024 * 1024,
  maxConfigTotalBytes: 256 * 1024 * 1024,
  maxConfigListeners: 3_000,
  maxParkedPolls: 1_000,
  maxParkedPollsPerUser: 250,
  maxUnackedPushes: 32,
  maxPushBufferBytes: 16 * 1024 * 1024,
  maxTokens: 10_000,
}
