/** What a port of gRPC shows, and by which roots it checks the certificates of clients, which change meanwhile. */
import type { experimental } from '@grpc/grpc-js'
import type { WorkloadIssuer } from '../ca/workload-issuer.ts'

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]
type OnRoots = Parameters<Provider['addCaCertificateListener']>[0]
type OnIdentity = Parameters<Provider['addIdentityCertificateListener']>[0]

export class PortCertificates implements Provider {
  private readonly shown: { readonly cert: string; readonly key: string }
  private readonly issuer: WorkloadIssuer
  private readonly watches = new Map<OnRoots, () => void>()

  constructor(shown: { readonly cert: string; readonly key: string }, issuer: WorkloadIssuer) {
    this.shown = shown
    this.issuer = issuer
  }

  /** While the authority is not open nobody's certificate is good, and everything else goes on. */
  addCaCertificateListener(listener: OnRoots): void {
    const tell = (): void => listener({ caCertificate: Buffer.from(this.issuer.trustBundle ?? '') })
    this.watches.set(listener, this.issuer.watch(tell))
    afterwards(tell)
  }

  removeCaCertificateListener(listener: OnRoots): void {
    this.watches.get(listener)?.()
    this.watches.delete(listener)
  }

  addIdentityCertificateListener(listener: OnIdentity): void {
    const { cert, key } = this.shown
    afterwards(() => listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) }))
  }

  removeIdentityCertificateListener(): void {}
}

/** What is told while a listener is being added is lost. */
function afterwards(tell: () => void): void {
  queueMicrotask(tell)
}
