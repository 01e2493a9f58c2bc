/** What a filter allows of the content of one request. */
export class ContentLimit {
  readonly most: number
  /** More has come, or was announced: nothing of it goes on, and the request is refused in a later turn. */
  isPassed = false

  constructor(most: number) {
    this.most = most
  }
}
