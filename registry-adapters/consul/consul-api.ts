/** The paths of Consul's HTTP API that the adapter uses, with datacenter and namespace in every query. */
import type { HttpAnswer, HttpClient, HttpQuestion } from '../http/http-client.ts'

export interface ConsulScope {
  readonly datacenter: string | undefined
  readonly consulNamespace: string | undefined
}

export class ConsulApi {
  private readonly http: HttpClient
  private readonly scope: ConsulScope

  constructor(http: HttpClient, scope: ConsulScope) {
    this.http = http
    this.scope = scope
  }

  ask(
    path: string,
    parameters: Readonly<Record<string, string>>,
    question: Omit<HttpQuestion, 'path'>,
  ): Promise<HttpAnswer> {
    const query = new URLSearchParams(parameters)
    const { datacenter, consulNamespace } = this.scope
    if (datacenter !== undefined) query.set('dc', datacenter)
    if (consulNamespace !== undefined) query.set('ns', consulNamespace)
    const text = query.toString()
    return this.http.ask({ ...question, path: text === '' ? path : `${path}?${text}` })
  }
}
