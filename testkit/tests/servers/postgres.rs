use mainstay_testkit::postgres::Postgres;

#[tokio::test]
async fn postgres_keeps_acknowledged_rows_through_a_kill_of_all_its_processes() {
    let mut postgres = Postgres::start().await.unwrap();
    postgres.query("CREATE TABLE t (n int)").await.unwrap();
    postgres.query("INSERT INTO t VALUES (7)").await.unwrap();
    postgres.kill().await.unwrap();
    postgres.query("SELECT 1").await.unwrap_err();
    postgres.restart().await.unwrap();
    assert_eq!(postgres.query("SELECT n FROM t").await.unwrap(), "7");
    // Its start found the traces of the kill.
    assert!(postgres.log().contains("not properly shut down"));
}
