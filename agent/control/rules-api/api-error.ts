/** A refusal as Kubernetes words it: a `Status` with code, reason and causes. */

export interface Cause {
  /** Path inside the object, `spec.http[0].timeout`. */
  readonly field: string
  readonly message: string
}

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
}

export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly causes?: readonly Cause[]
}

export class ApiError extends Error {
  readonly status: number
  private readonly reason: string
  private readonly details: StatusDetails

  constructor(status: number, message: string, details: StatusDetails = {}, reason = reasons[status] ?? '') {
    super(message)
    this.status = status
    this.reason = reason
    this.details = details
  }

  body(): object {
    const { causes, ...details } = this.details
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      details: {
        ...details,
        ...(causes === undefined ? {} : { causes: causes.map((cause) => ({ reason: 'FieldValueInvalid', ...cause })) }),
      },
      code: this.status,
    }
  }
}
