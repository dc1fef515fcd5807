use mainstay_testkit::mariadb::MariaDb;

#[tokio::test]
async fn mariadb_keeps_acknowledged_rows_through_a_kill() {
    let mut mariadb = MariaDb::start().await.unwrap();
    mariadb.query("CREATE TABLE t (n int)").await.unwrap();
    mariadb.query("INSERT INTO t VALUES (7)").await.unwrap();
    mariadb.kill().await.unwrap();
    mariadb.query("SELECT 1").await.unwrap_err();
    mariadb.restart().await.unwrap();
    assert_eq!(mariadb.query("SELECT n FROM t").await.unwrap(), "7");
}
